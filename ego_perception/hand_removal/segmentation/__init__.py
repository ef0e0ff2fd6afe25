"""The compact hand and arm segmenter: one image in, hands, arms and held objects out."""
