"""GLSL programs of the renderer.

Surfaces are drawn first and lit afterwards, each pixel once. Positions and directions are in the world. Colours are linear
light until the last lines of `LIGHT`, which bend the highlights (Reinhard et al., "Photographic tone reproduction", SIGGRAPH
2002) and go back to display values with a little contrast. Shadows are percentage-closer filtered (Reeves et al., SIGGRAPH
1987) over 4x4 texels. Ambient light is dimmed by the distance field of the furniture (Evans, "Fast approximations for global
illumination on dynamic scenes", SIGGRAPH 2006 courses).

Software rasterisers run both sides of every `if`, so a branch around a texture saves nothing there.
"""

from __future__ import annotations

from typing import Final

NUM_FILLS: Final = 3
"""Lamps without shadows."""

VERTEX: Final = """#version 450
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
layout(location = 2) in vec2 texcoord;
layout(location = 3) in ivec2 ids;
uniform mat4 clip_from_world;
uniform sampler2D finishes;
out vec3 at;
out vec3 facing;
out vec2 picture_at;
flat out vec4 tint;   // rgb, layer of the picture or -1
flat out vec4 gloss;  // specular, shininess, emission
flat out int instance;
void main() {
    at = position;
    facing = normal;
    picture_at = texcoord;
    tint = texelFetch(finishes, ivec2(2 * ids.x, 0), 0);
    gloss = texelFetch(finishes, ivec2(2 * ids.x + 1, 0), 0);
    instance = ids.y;
    gl_Position = clip_from_world * vec4(position, 1);
}
"""

IDS: Final = """#version 450
flat in int instance;
layout(location = 0) out uint id;
layout(location = 1) out float depth_m;
void main() {
    id = uint(instance);
    depth_m = 1 / gl_FragCoord.w;  // the clip matrix passes the depth along the optical axis on as w
}
"""

DISTANCE: Final = """#version 450
in vec3 at;
uniform vec3 lamp_at;
layout(location = 0) out float distance_m;
void main() { distance_m = distance(at, lamp_at); }
"""

SURFACE: Final = """#version 450
in vec3 at;
in vec3 facing;
in vec2 picture_at;
flat in vec4 tint;
flat in vec4 gloss;
uniform vec3 eye;
uniform float owner;  // 0 on the wearer, 0.5 on people and what is held, else 1
uniform sampler2DArray pictures;
layout(location = 0) out vec4 paint;   // as on a display, owner
layout(location = 1) out vec4 normal;  // from 0 to 1
layout(location = 2) out vec4 finish;  // specular, shininess, emission
layout(location = 3) out float depth_m;
void main() {
    vec3 n = normalize(facing), albedo = tint.rgb;
    if (dot(n, eye - at) < 0) n = -n;
    if (tint.a >= 0) albedo *= texture(pictures, vec3(picture_at, tint.a)).rgb;
    paint = vec4(albedo, owner);
    normal = vec4(0.5 + 0.5 * n, 1);
    finish = gloss;
    depth_m = 1 / gl_FragCoord.w;
}
"""

WHOLE_IMAGE: Final = """#version 450
void main() { gl_Position = vec4((gl_VertexID & 1) * 4 - 1, (gl_VertexID & 2) * 2 - 1, 0, 1); }
"""

LIGHT: Final = (
    """#version 450
uniform sampler2D paint, normal, finish, depth_m;
uniform vec3 eye;
uniform vec3 ray[3];  // of the image's corner, and its steps to the right and downwards per pixel
uniform sampler3D field;
uniform vec3 field_origin, field_scale;
uniform float field_range, occlusion;
uniform sampler2DArray shadows;  // distance from the lamp: 0 what lies still, 1 everything but the wearer, 2 the wearer
uniform float shadow_px;  // 0 without shadows
uniform mat4 clip_from_lamp;
uniform vec3 lamp_at, lamp_towards, lamp_rgb;
uniform float texel_rad;
uniform vec3 fill_at[FILLS], fill_rgb[FILLS];
uniform vec3 above_rgb, below_rgb;
uniform float exposure;
layout(location = 0) out vec4 with_wearers_shadow;
layout(location = 1) out vec4 without_wearers_shadow;
#ifdef BACKGROUND
layout(location = 2) out vec4 without_movers_shadow;
#endif

vec3 at;

float lit(vec2 p, float layer, float distance_m) {
    vec2 corner = p * shadow_px - 0.5, f = fract(corner);
    vec3 q = vec3((floor(corner) + 0.5) / shadow_px, layer);
    float step_px = 1 / shadow_px;
    // A gather gives the texels (x, y+1), (x+1, y+1), (x+1, y), (x, y) around the corner that it is asked for.
    vec4 a = step(vec4(distance_m), textureGather(shadows, q + vec3(-step_px * 0.5, -step_px * 0.5, 0)));
    vec4 b = step(vec4(distance_m), textureGather(shadows, q + vec3(step_px * 1.5, -step_px * 0.5, 0)));
    vec4 c = step(vec4(distance_m), textureGather(shadows, q + vec3(-step_px * 0.5, step_px * 1.5, 0)));
    vec4 d = step(vec4(distance_m), textureGather(shadows, q + vec3(step_px * 1.5, step_px * 1.5, 0)));
    vec2 g = 1 - f;
    float sum = dot(a, vec4(g.x, 1, g.y, g.x * g.y)) + dot(b, vec4(1, f.x, f.x * g.y, g.y))
        + dot(c, vec4(g.x * f.y, f.y, 1, g.x)) + dot(d, vec4(f.y, f.x * f.y, f.x, 1));
    return clamp(sum * (1.0001 / 9), 0, 1);  // exactly 1 where nothing is in the way
}

float open_sky(vec3 n) {
    float out_ = 1;
    for (int i = 0; i < 2; i++) {
        float reach = i == 0 ? 0.09 : 0.3;
        float near = field_range * texture(field, (at + reach * n - field_origin) * field_scale).r;
        out_ *= 1 - (i == 0 ? 0.35 : 0.55) * clamp(1 - near / reach, 0, 1);
    }
    return mix(1.0, out_, occlusion);
}

vec3 film(vec3 light) {
    light *= exposure;
    vec3 shown = sqrt(min(light * (1 + light / 4) / (1 + light), 1));  // 2 is white
    return mix(shown, shown * shown * (3 - 2 * shown), 0.3);
}

void main() {
    ivec2 pixel = ivec2(gl_FragCoord.xy);
    float depth = texelFetch(depth_m, pixel, 0).r;
    vec4 painted = texelFetch(paint, pixel, 0), gloss = texelFetch(finish, pixel, 0);
    vec3 towards = ray[0] + gl_FragCoord.x * ray[1] + gl_FragCoord.y * ray[2];
    at = eye + depth * towards;
    vec3 n = normalize(texelFetch(normal, pixel, 0).rgb * 2 - 1), towards_eye = -normalize(towards);
    vec3 albedo = painted.rgb * painted.rgb;  // near enough to the display's power of 2.2
    float open_ = open_sky(n);
    vec3 ambient = mix(below_rgb, above_rgb, 0.5 + 0.5 * n.z);
    for (int i = 0; i < FILLS; i++) {
        vec3 to = fill_at[i] - at;
        float d2 = dot(to, to);
        ambient += fill_rgb[i] * max(dot(n, to) * inversesqrt(d2) * 0.7 + 0.3, 0) / (1 + 0.25 * d2);
    }
    ambient *= open_;

    vec3 to = lamp_at - at;
    float d = length(to);
    to /= d;
    float slope = dot(n, to), down = -dot(to, lamp_towards);
    float power = max(slope, 0) * smoothstep(-0.1, 0.75, down) / (1 + 0.12 * d * d);
    vec3 shine = albedo * power;
    float mirror = max(dot(n, normalize(to + towards_eye)), 0);
    if (slope > 0) shine += gloss.x * power / max(slope, 0.1) * pow(mirror, 8 + 120 * gloss.y);
    shine *= lamp_rgb;
    float others = 1, own = 1, things = 1;
    if (shadow_px > 0 && slope > 0) {
        float texel = d * texel_rad / (0.35 + 0.65 * max(down, 0));
        vec3 lifted = at + n * (0.002 + 2.5 * texel * sqrt(1 - slope * slope));
        vec4 p = clip_from_lamp * vec4(lifted, 1);
        p.xy = 0.5 + 0.5 * p.xy / p.w;
        if (p.w > 0 && all(greaterThan(p.xy, vec2(0))) && all(lessThan(p.xy, vec2(1)))) {
            float far = distance(lifted, lamp_at) - 0.002 - 0.5 * texel;
            float border = 1 - smoothstep(0.9, 1.0, 2 * max(abs(p.x - 0.5), abs(p.y - 0.5)));
            others = 1 - border * (1 - lit(p.xy, 1, far));
            own = 1 - border * (1 - lit(p.xy, 2, far));
#ifdef BACKGROUND
            things = 1 - border * (1 - lit(p.xy, 0, far));
#endif
        }
    }
    float glow = min(2 * gloss.z, 1);
    vec3 base = albedo * ambient * (1 - glow) + albedo * glow * 1.6;
    vec3 bare = shine * (things * (1 - glow));
    shine *= others * (1 - glow);
    float seen = float(depth > 0);
    with_wearers_shadow = vec4(seen * film(base + shine * own), painted.a);
    without_wearers_shadow = vec4(seen * film(base + shine), painted.a);
#ifdef BACKGROUND
    without_movers_shadow = vec4(seen * film(base + bare), painted.a);
#endif
}
"""
).replace("FILLS", str(NUM_FILLS))

LIGHT_WITH_BACKGROUND: Final = LIGHT.replace("#version 450", "#version 450\n#define BACKGROUND", 1)
"""The same with a third image, in which only what lies still casts shadows."""
