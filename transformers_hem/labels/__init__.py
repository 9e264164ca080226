"""Labels for training: both models asked, both answers scored."""
