"""The HEM transformer as a server: it mines a query or an answer, and says where it goes."""
