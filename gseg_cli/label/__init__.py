"""`gseg label`: a page to paint labels on samples, and a teacher that follows each stroke."""
