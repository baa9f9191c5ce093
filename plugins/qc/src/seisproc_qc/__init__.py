"""Quality control: parameter tests, spectra, attributes, differences of surveys."""
