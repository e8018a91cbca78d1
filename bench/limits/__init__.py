"""The least that could do each work: bare libraries, without what makes a feature store."""
