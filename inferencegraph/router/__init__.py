"""What the local router (`inferencegraph.router.create`) is made of."""
