"""The one reader of people's files of texts: bytes → values → rows → lists, sides of a contrast, questions."""
