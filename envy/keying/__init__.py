"""Computing the entry key of a recipe from its ingredients, and looking the entry up."""
