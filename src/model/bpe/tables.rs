//! Tables for [`super::clean`]: generated once from the Unicode character database and the HTML standard.

/// Characters that Rust counts as alphabetic and the pattern class `\p{L}` does not (vowel signs, circled letters):
/// half-open runs as a flat list of start, end, start, end.
pub const ALPHABETIC_BUT_NO_LETTER: &[u32] = &[
    0x345, 0x370, 0x5b0, 0x5c8, 0x610, 0x61b, 0x64b, 0x660, 0x670, 0x671, 0x6d6, 0x6e5, 0x6e7, 0x6ee, 0x711, 0x712,
    0x730, 0x740, 0x7a6, 0x7b1, 0x816, 0x818, 0x81b, 0x824, 0x825, 0x828, 0x829, 0x82d, 0x897, 0x898, 0x8d4, 0x904,
    0x93a, 0x93c, 0x93e, 0x950, 0x955, 0x958, 0x962, 0x964, 0x981, 0x984, 0x9be, 0x9cd, 0x9d7, 0x9d8, 0x9e2, 0x9e4,
    0xa01, 0xa04, 0xa3e, 0xa52, 0xa70, 0xa72, 0xa75, 0xa84, 0xabe, 0xacd, 0xae2, 0xae4, 0xafa, 0xb04, 0xb3e, 0xb58,
    0xb62, 0xb64, 0xb82, 0xb83, 0xbbe, 0xbcd, 0xbd7, 0xc05, 0xc3e, 0xc57, 0xc62, 0xc64, 0xc81, 0xc84, 0xcbe, 0xcd7,
    0xce2, 0xce4, 0xcf3, 0xd04, 0xd3e, 0xd4d, 0xd57, 0xd58, 0xd62, 0xd64, 0xd81, 0xd84, 0xdcf, 0xdf4, 0xe31, 0xe32,
    0xe34, 0xe3b, 0xe4d, 0xe4e, 0xeb1, 0xeb2, 0xeb4, 0xebd, 0xecd, 0xece, 0xf71, 0xf84, 0xf8d, 0xfbd, 0x102b, 0x103f,
    0x1056, 0x105a, 0x105e, 0x1061, 0x1062, 0x1065, 0x1067, 0x106e, 0x1071, 0x1075, 0x1082, 0x108e, 0x108f, 0x109e,
    0x1712, 0x1714, 0x1732, 0x1734, 0x1752, 0x1754, 0x1772, 0x1774, 0x17b6, 0x17c9, 0x1885, 0x1887, 0x18a9, 0x18aa,
    0x1920, 0x1939, 0x1a17, 0x1a1c, 0x1a55, 0x1a75, 0x1abf, 0x1b05, 0x1b35, 0x1b44, 0x1b80, 0x1b83, 0x1ba1, 0x1bae,
    0x1be7, 0x1bf2, 0x1c24, 0x1c37, 0x1dd3, 0x1df5, 0x24b6, 0x24ea, 0x2de0, 0x2e00, 0xa674, 0xa67c, 0xa69e, 0xa6a0,
    0xa802, 0xa803, 0xa80b, 0xa80c, 0xa823, 0xa828, 0xa880, 0xa882, 0xa8b4, 0xa8c6, 0xa8ff, 0xa900, 0xa926, 0xa92b,
    0xa947, 0xa953, 0xa980, 0xa984, 0xa9b4, 0xa9c0, 0xa9e5, 0xa9e6, 0xaa29, 0xaa37, 0xaa43, 0xaa44, 0xaa4c, 0xaa4e,
    0xaa7b, 0xaa7e, 0xaab0, 0xaab1, 0xaab2, 0xaab5, 0xaab7, 0xaab9, 0xaabe, 0xaabf, 0xaaeb, 0xaaf0, 0xaaf5, 0xaaf6,
    0xabe3, 0xabeb, 0xfb1e, 0xfb1f, 0x10376, 0x1037b, 0x10a01, 0x10a10, 0x10d24, 0x10d28, 0x10d69, 0x10d6a, 0x10eab,
    0x10ead, 0x10efa, 0x10efd, 0x11000, 0x11003, 0x11038, 0x11046, 0x11073, 0x11075, 0x11080, 0x11083, 0x110b0,
    0x110c3, 0x11100, 0x11103, 0x11127, 0x11133, 0x11145, 0x11147, 0x11180, 0x11183, 0x111b3, 0x111c0, 0x111ce,
    0x111d0, 0x1122c, 0x1123f, 0x11241, 0x11242, 0x112df, 0x11304, 0x1133e, 0x1134d, 0x11357, 0x11358, 0x11362,
    0x11364, 0x113b8, 0x113ce, 0x11435, 0x11446, 0x114b0, 0x114c2, 0x115af, 0x115bf, 0x115dc, 0x115de, 0x11630,
    0x11641, 0x116ab, 0x116b6, 0x1171d, 0x1172b, 0x1182c, 0x11839, 0x11930, 0x1193d, 0x11940, 0x11941, 0x11942,
    0x11943, 0x119d1, 0x119e0, 0x119e4, 0x119e5, 0x11a01, 0x11a0b, 0x11a35, 0x11a3a, 0x11a3b, 0x11a3f, 0x11a51,
    0x11a5c, 0x11a8a, 0x11a98, 0x11b60, 0x11b68, 0x11c2f, 0x11c3f, 0x11c92, 0x11cb7, 0x11d31, 0x11d44, 0x11d47,
    0x11d48, 0x11d8a, 0x11d97, 0x11ef3, 0x11f02, 0x11f03, 0x11f04, 0x11f34, 0x11f41, 0x1611e, 0x1612f, 0x16f4f,
    0x16f50, 0x16f51, 0x16f93, 0x16ff0, 0x16ff2, 0x1bc9e, 0x1bc9f, 0x1e000, 0x1e02b, 0x1e08f, 0x1e090, 0x1e6e3,
    0x1e6e4, 0x1e6e6, 0x1e6e7, 0x1e6ee, 0x1e6f0, 0x1e6f5, 0x1e6f6, 0x1e947, 0x1e948, 0x1f130, 0x1f18a,
];

/// Canonical compositions below U+2000 with a mark of U+0300 to U+036F: the mark, then pairs of letter and result.
pub const COMPOSITIONS: &[(char, &str)] = &[
    (
        '\u{300}',
        "AÀEÈIÌOÒUÙaàeèiìoòuùÜǛüǜNǸnǹЕЀИЍеѐиѝĒḔēḕŌṐōṑWẀwẁÂẦâầĂẰăằÊỀêềÔỒôồƠỜơờƯỪưừYỲyỳἀἂἁἃἈἊἉἋἐἒἑἓἘἚἙἛἠἢἡἣἨἪἩἫἰἲ\
         ἱἳἸἺἹἻὀὂὁὃὈὊὉὋὐὒὑὓὙὛὠὢὡὣὨὪὩὫαὰεὲηὴιὶοὸυὺωὼΑᾺΕῈΗῊ᾿῍ϊῒΙῚ῾῝ϋῢΥῪ¨῭ΟῸΩῺ",
    ),
    (
        '\u{301}',
        "AÁEÉIÍOÓUÚYÝaáeéiíoóuúyýCĆcćLĹlĺNŃnńRŔrŕSŚsśZŹzźÜǗüǘGǴgǵÅǺåǻÆǼæǽØǾøǿ¨΅ΑΆΕΈΗΉΙΊΟΌΥΎΩΏϊΐαάεέηήιίϋΰοόυύωώ\
         ϒϓГЃКЌгѓкќÇḈçḉĒḖēḗÏḮïḯKḰkḱMḾmḿÕṌõṍŌṒōṓPṔpṕŨṸũṹWẂwẃÂẤâấĂẮăắÊẾêếÔỐôốƠỚơớƯỨưứἀἄἁἅἈἌἉἍἐἔἑἕἘἜἙἝἠἤἡἥἨἬἩἭἰἴἱἵ\
         ἸἼἹἽὀὄὁὅὈὌὉὍὐὔὑὕὙὝὠὤὡὥὨὬὩὭ᾿῎῾῞",
    ),
    ('\u{302}', "AÂEÊIÎOÔUÛaâeêiîoôuûCĈcĉGĜgĝHĤhĥJĴjĵSŜsŝWŴwŵYŶyŷZẐzẑẠẬạậẸỆẹệỌỘọộ"),
    ('\u{303}', "AÃNÑOÕaãnñoõIĨiĩUŨuũVṼvṽÂẪâẫĂẴăẵEẼeẽÊỄêễÔỖôỗƠỠơỡƯỮưữYỸyỹ"),
    ('\u{304}', "AĀaāEĒeēIĪiīOŌoōUŪuūÜǕüǖÄǞäǟȦǠȧǡÆǢæǣǪǬǫǭÖȪöȫÕȬõȭȮȰȯȱYȲyȳИӢиӣУӮуӯGḠgḡḶḸḷḹṚṜṛṝαᾱΑᾹιῑΙῙυῡΥῩ"),
    ('\u{306}', "AĂaăEĔeĕGĞgğIĬiĭOŎoŏUŬuŭУЎИЙийуўЖӁжӂАӐаӑЕӖеӗȨḜȩḝẠẶạặαᾰΑᾸιῐΙῘυῠΥῨ"),
    ('\u{307}', "CĊcċEĖeėGĠgġIİZŻzżAȦaȧOȮoȯBḂbḃDḊdḋFḞfḟHḢhḣMṀmṁNṄnṅPṖpṗRṘrṙSṠsṡŚṤśṥŠṦšṧṢṨṣṩTṪtṫWẆwẇXẊxẋYẎyẏſẛ"),
    (
        '\u{308}',
        "AÄEËIÏOÖUÜaäeëiïoöuüyÿYŸΙΪΥΫιϊυϋϒϔЕЁІЇеёіїАӒаӓӘӚәӛЖӜжӝЗӞзӟИӤиӥОӦоӧӨӪөӫЭӬэӭУӰуӱЧӴчӵЫӸыӹHḦhḧÕṎõṏŪṺūṻWẄwẅ\
         XẌxẍtẗ",
    ),
    ('\u{309}', "AẢaảÂẨâẩĂẲăẳEẺeẻÊỂêểIỈiỉOỎoỏÔỔôổƠỞơởUỦuủƯỬưửYỶyỷ"),
    ('\u{30a}', "AÅaåUŮuůwẘyẙ"),
    ('\u{30b}', "OŐoőUŰuűУӲуӳ"),
    ('\u{30c}', "CČcčDĎdďEĚeěLĽlľNŇnňRŘrřSŠsšTŤtťZŽzžAǍaǎIǏiǐOǑoǒUǓuǔÜǙüǚGǦgǧKǨkǩƷǮʒǯjǰHȞhȟ"),
    ('\u{30f}', "AȀaȁEȄeȅIȈiȉOȌoȍRȐrȑUȔuȕѴѶѵѷ"),
    ('\u{311}', "AȂaȃEȆeȇIȊiȋOȎoȏRȒrȓUȖuȗ"),
    ('\u{313}', "αἀΑἈεἐΕἘηἠΗἨιἰΙἸοὀΟὈυὐωὠΩὨρῤ"),
    ('\u{314}', "αἁΑἉεἑΕἙηἡΗἩιἱΙἹοὁΟὉυὑΥὙωὡΩὩρῥΡῬ"),
    ('\u{31b}', "OƠoơUƯuư"),
    ('\u{323}', "BḄbḅDḌdḍHḤhḥKḲkḳLḶlḷMṂmṃNṆnṇRṚrṛSṢsṣTṬtṭVṾvṿWẈwẉZẒzẓAẠaạEẸeẹIỊiịOỌoọƠỢơợUỤuụƯỰưựYỴyỵ"),
    ('\u{324}', "UṲuṳ"),
    ('\u{325}', "AḀaḁ"),
    ('\u{326}', "SȘsșTȚtț"),
    ('\u{327}', "CÇcçGĢgģKĶkķLĻlļNŅnņRŖrŗSŞsşTŢtţEȨeȩDḐdḑHḨhḩ"),
    ('\u{328}', "AĄaąEĘeęIĮiįUŲuųOǪoǫ"),
    ('\u{32d}', "DḒdḓEḘeḙLḼlḽNṊnṋTṰtṱUṶuṷ"),
    ('\u{32e}', "HḪhḫ"),
    ('\u{330}', "EḚeḛIḬiḭUṴuṵ"),
    ('\u{331}', "BḆbḇDḎdḏKḴkḵLḺlḻNṈnṉRṞrṟTṮtṯZẔzẕhẖ"),
    ('\u{342}', "ἀἆἁἇἈἎἉἏἠἦἡἧἨἮἩἯἰἶἱἷἸἾἹἿὐὖὑὗὙὟὠὦὡὧὨὮὩὯαᾶ¨῁ηῆ᾿῏ιῖϊῗ῾῟υῦϋῧωῶ"),
    (
        '\u{345}',
        "ἀᾀἁᾁἂᾂἃᾃἄᾄἅᾅἆᾆἇᾇἈᾈἉᾉἊᾊἋᾋἌᾌἍᾍἎᾎἏᾏἠᾐἡᾑἢᾒἣᾓἤᾔἥᾕἦᾖἧᾗἨᾘἩᾙἪᾚἫᾛἬᾜἭᾝἮᾞἯᾟὠᾠὡᾡὢᾢὣᾣὤᾤὥᾥὦᾦὧᾧὨᾨὩᾩὪᾪὫᾫὬᾬὭᾭὮᾮὯᾯὰᾲαᾳάᾴ\
         ᾶᾷΑᾼὴῂηῃήῄῆῇΗῌὼῲωῳώῴῶῷΩῼ",
    ),
];

/// Characters that ftfy or canonical composition writes in another way: ligatures, twins of other characters, letters
/// that Unicode keeps apart from their marks. (Compatibility ideographs are left out.)
#[rustfmt::skip]
pub const REWRITTEN: &[(char, &str)] = &[
    ('\u{132}', "IJ"), ('\u{133}', "ij"), ('\u{149}', "'n"), ('\u{1c4}', "DŽ"), ('\u{1c5}', "Dž"),
    ('\u{1c6}', "dž"), ('\u{1c7}', "LJ"), ('\u{1c8}', "Lj"), ('\u{1c9}', "lj"), ('\u{1ca}', "NJ"),
    ('\u{1cb}', "Nj"), ('\u{1cc}', "nj"), ('\u{1f1}', "DZ"), ('\u{1f2}', "Dz"), ('\u{1f3}', "dz"),
    ('\u{340}', "\u{300}"), ('\u{341}', "\u{301}"), ('\u{343}', "\u{313}"), ('\u{344}', "\u{308}\u{301}"),
    ('\u{374}', "ʹ"), ('\u{37e}', ";"), ('\u{387}', "·"), ('\u{958}', "क\u{93c}"), ('\u{959}', "ख\u{93c}"),
    ('\u{95a}', "ग\u{93c}"), ('\u{95b}', "ज\u{93c}"), ('\u{95c}', "ड\u{93c}"), ('\u{95d}', "ढ\u{93c}"),
    ('\u{95e}', "फ\u{93c}"), ('\u{95f}', "य\u{93c}"), ('\u{9dc}', "ড\u{9bc}"), ('\u{9dd}', "ঢ\u{9bc}"),
    ('\u{9df}', "য\u{9bc}"), ('\u{a33}', "ਲ\u{a3c}"), ('\u{a36}', "ਸ\u{a3c}"), ('\u{a59}', "ਖ\u{a3c}"),
    ('\u{a5a}', "ਗ\u{a3c}"), ('\u{a5b}', "ਜ\u{a3c}"), ('\u{a5e}', "ਫ\u{a3c}"), ('\u{b5c}', "ଡ\u{b3c}"),
    ('\u{b5d}', "ଢ\u{b3c}"), ('\u{f43}', "ག\u{fb7}"), ('\u{f4d}', "ཌ\u{fb7}"), ('\u{f52}', "ད\u{fb7}"),
    ('\u{f57}', "བ\u{fb7}"), ('\u{f5c}', "ཛ\u{fb7}"), ('\u{f69}', "ཀ\u{fb5}"), ('\u{f73}', "\u{f71}\u{f72}"),
    ('\u{f75}', "\u{f71}\u{f74}"), ('\u{f76}', "\u{fb2}\u{f80}"), ('\u{f78}', "\u{fb3}\u{f80}"),
    ('\u{f81}', "\u{f71}\u{f80}"), ('\u{f93}', "\u{f92}\u{fb7}"), ('\u{f9d}', "\u{f9c}\u{fb7}"),
    ('\u{fa2}', "\u{fa1}\u{fb7}"), ('\u{fa7}', "\u{fa6}\u{fb7}"), ('\u{fac}', "\u{fab}\u{fb7}"),
    ('\u{fb9}', "\u{f90}\u{fb5}"), ('\u{1f71}', "ά"), ('\u{1f73}', "έ"), ('\u{1f75}', "ή"), ('\u{1f77}', "ί"),
    ('\u{1f79}', "ό"), ('\u{1f7b}', "ύ"), ('\u{1f7d}', "ώ"), ('\u{1fbb}', "Ά"), ('\u{1fbe}', "ι"),
    ('\u{1fc9}', "Έ"), ('\u{1fcb}', "Ή"), ('\u{1fd3}', "ΐ"), ('\u{1fdb}', "Ί"), ('\u{1fe3}', "ΰ"),
    ('\u{1feb}', "Ύ"), ('\u{1fee}', "΅"), ('\u{1fef}', "`"), ('\u{1ff9}', "Ό"), ('\u{1ffb}', "Ώ"),
    ('\u{1ffd}', "´"), ('\u{2000}', "\u{2002}"), ('\u{2001}', "\u{2003}"), ('\u{2126}', "Ω"), ('\u{212a}', "K"),
    ('\u{212b}', "Å"), ('\u{2329}', "〈"), ('\u{232a}', "〉"), ('\u{2adc}', "⫝\u{338}"), ('\u{fb00}', "ff"),
    ('\u{fb01}', "fi"), ('\u{fb02}', "fl"), ('\u{fb03}', "ffi"), ('\u{fb04}', "ffl"), ('\u{fb05}', "ſt"),
    ('\u{fb06}', "st"),
];

/// Named character references of HTML 4, each followed by its code point in hexadecimal. Those below U+0100 (but
/// `apos`) are also understood without the closing semicolon.
pub const ENTITIES: &str = "\
QUOT 22 quot 22 AMP 26 amp 26 apos 27 LT 3c lt 3c GT 3e gt 3e nbsp a0 iexcl a1 cent a2 pound a3 curren a4 yen a5 \
brvbar a6 sect a7 uml a8 COPY a9 copy a9 ordf aa laquo ab not ac shy ad REG ae reg ae macr af deg b0 plusmn b1 \
sup2 b2 sup3 b3 acute b4 micro b5 para b6 middot b7 cedil b8 sup1 b9 ordm ba raquo bb frac14 bc frac12 bd \
frac34 be iquest bf Agrave c0 Aacute c1 Acirc c2 Atilde c3 Auml c4 Aring c5 AElig c6 Ccedil c7 Egrave c8 \
Eacute c9 Ecirc ca Euml cb Igrave cc Iacute cd Icirc ce Iuml cf ETH d0 Ntilde d1 Ograve d2 Oacute d3 Ocirc d4 \
Otilde d5 Ouml d6 times d7 Oslash d8 Ugrave d9 Uacute da Ucirc db Uuml dc Yacute dd THORN de szlig df agrave e0 \
aacute e1 acirc e2 atilde e3 auml e4 aring e5 aelig e6 ccedil e7 egrave e8 eacute e9 ecirc ea euml eb igrave ec \
iacute ed icirc ee iuml ef eth f0 ntilde f1 ograve f2 oacute f3 ocirc f4 otilde f5 ouml f6 divide f7 oslash f8 \
ugrave f9 uacute fa ucirc fb uuml fc yacute fd thorn fe yuml ff OElig 152 oelig 153 Scaron 160 scaron 161 \
Yuml 178 fnof 192 circ 2c6 tilde 2dc Alpha 391 Beta 392 Gamma 393 Delta 394 Epsilon 395 Zeta 396 Eta 397 \
Theta 398 Iota 399 Kappa 39a Lambda 39b Mu 39c Nu 39d Xi 39e Omicron 39f Pi 3a0 Rho 3a1 Sigma 3a3 Tau 3a4 \
Upsilon 3a5 Phi 3a6 Chi 3a7 Psi 3a8 Omega 3a9 alpha 3b1 beta 3b2 gamma 3b3 delta 3b4 epsilon 3b5 zeta 3b6 \
eta 3b7 theta 3b8 iota 3b9 kappa 3ba lambda 3bb mu 3bc nu 3bd xi 3be omicron 3bf pi 3c0 rho 3c1 sigmaf 3c2 \
sigma 3c3 tau 3c4 upsilon 3c5 phi 3c6 chi 3c7 psi 3c8 omega 3c9 thetasym 3d1 upsih 3d2 piv 3d6 ensp 2002 \
emsp 2003 thinsp 2009 zwnj 200c zwj 200d lrm 200e rlm 200f ndash 2013 mdash 2014 lsquo 2018 rsquo 2019 \
sbquo 201a ldquo 201c rdquo 201d bdquo 201e dagger 2020 Dagger 2021 bull 2022 hellip 2026 permil 2030 prime 2032 \
Prime 2033 lsaquo 2039 rsaquo 203a oline 203e frasl 2044 euro 20ac image 2111 weierp 2118 real 211c trade 2122 \
alefsym 2135 larr 2190 uarr 2191 rarr 2192 darr 2193 harr 2194 crarr 21b5 lArr 21d0 uArr 21d1 rArr 21d2 \
dArr 21d3 hArr 21d4 forall 2200 part 2202 exist 2203 empty 2205 nabla 2207 isin 2208 notin 2209 ni 220b \
prod 220f sum 2211 minus 2212 lowast 2217 radic 221a prop 221d infin 221e ang 2220 and 2227 or 2228 cap 2229 \
cup 222a int 222b there4 2234 sim 223c cong 2245 asymp 2248 ne 2260 equiv 2261 le 2264 ge 2265 sub 2282 sup 2283 \
nsub 2284 sube 2286 supe 2287 oplus 2295 otimes 2297 perp 22a5 sdot 22c5 lceil 2308 rceil 2309 lfloor 230a \
rfloor 230b lang 2329 rang 232a loz 25ca spades 2660 clubs 2663 hearts 2665 diams 2666";
