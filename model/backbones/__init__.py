"""The frozen towers: open_clip's CLIP and timm's DINOv3 behind one shape of answer."""
