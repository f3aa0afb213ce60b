//! What is under the parts that are clear: black, everywhere and in every format.
//!
//! A player that does not know of alpha shows the colours that a file has there, and a file that keeps the source's shows
//! the whole room. Next to the subject they stay, for encoders store colours for several pixels together, and black would
//! bleed into its edge.

/// An alpha up to this, of 255, becomes 0: it is invisible noise, and would keep the colours of the source.
const NOISE: u8 = 3;
/// How far around the subject colours stay, in pixels: what a codec with halved colour mixes into a pixel.
const MARGIN: usize = 4;

/// Filters that make the colours of what is clear black, from any format with alpha to `gbrap`; pads are named `flat...`.
pub(super) fn filters() -> String {
    let grown = ["dilation"; MARGIN].join(",");
    let planes = "mergeplanes=map0s=0:map1s=1:map2s=2:map3s=3:format=gbrap";
    [
        "format=gbrap,split=2[flat1][flat2]".to_owned(),
        format!("[flat2]alphaextract,format=gray,lut=c0='if(gt(val,{NOISE}),val,0)',split=2[flat3][flata]"),
        format!("[flat3]lut=c0='if(val,255,0)',{grown},split=3[flatg][flatb][flatr]"),
        format!("[flatg][flatb][flatr][flata]{planes}[flat4]"),
        "[flat1][flat4]blend=all_mode=darken".to_owned(),
    ]
    .join(";")
}
