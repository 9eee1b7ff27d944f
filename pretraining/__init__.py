"""How dinoscope's bundled weights are made: self-supervised pretraining, small enough to read in one sitting.

Run ``python -m pretraining --help``. This folder needs torch; the package ``dinoscope`` never imports it.
"""
