"""What a trained model must beat: nothing learned, one linear map, fixed prompts."""
