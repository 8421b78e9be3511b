"""Plan + device pack -> Prediction."""
