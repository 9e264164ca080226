"""Model servers that ship in images of their own, for engines that ask a server."""
