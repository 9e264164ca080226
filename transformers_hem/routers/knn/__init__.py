"""KNNRouter: what the nearest labelled queries say."""
