"""What dinoscope's models are compared with: transformers and timm, and the data they made for the tests."""
