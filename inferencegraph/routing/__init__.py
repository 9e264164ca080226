"""What the local router (`inferencegraph.router`) is made of."""
