"""Paints a person's looks on the body's atlas: skin, face and hair, clothes, then what is worn on the hands."""

from __future__ import annotations

import numpy as np

from ego_perception.body.atlas import build_atlas
from ego_perception.body.model import BodyModel
from ego_perception.simulation.textures import Image
from ego_perception.simulation.wardrobe_canvas import Canvas, texel_map
from ego_perception.simulation.wardrobe_cloth import paint_clothes
from ego_perception.simulation.wardrobe_head import paint_hair, paint_head
from ego_perception.simulation.wardrobe_look import Look, draw_look
from ego_perception.simulation.wardrobe_skin import cover_with_skin, paint_gloves, paint_hands, paint_jewellery

__all__ = ["Look", "draw_look", "paint_look"]


def paint_look(look: Look, model: BodyModel) -> Image:
    """Paint the (SIZE, SIZE, 3) texture of a person."""
    canvas = Canvas(texel_map(model), np.random.default_rng(look.seed))
    cover_with_skin(canvas, look)
    with canvas.part("hands") as hands:
        paint_hands(hands, look)
    with canvas.part("head") as head:
        paint_head(head, look)
    paint_clothes(canvas, look)
    with canvas.part("hands") as hands:
        paint_jewellery(hands, look)
        paint_gloves(hands, look)
    with canvas.part("head") as head:
        paint_hair(head, look)
    return build_atlas(model).image(canvas.rgb)
