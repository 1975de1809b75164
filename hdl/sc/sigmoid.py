"""The sigmoid: tanh, read as a unipolar number."""

from hdl.sc.fsm import Tanh

__all__ = ["Sigmoid"]


class Sigmoid(Tanh):
    """sigmoid(states * x) of a bipolar stream of i.i.d. bits (equation: hdl/params/sc/sigmoid.py).

    Parameters
    ----------
    params : number of states, which is the gain.

    Members
    -------
    a : the stream, bipolar.
    y : its sigmoid, unipolar.
    en, clear : next state; the first state.
    """
