"""Router, network interface, mesh."""
