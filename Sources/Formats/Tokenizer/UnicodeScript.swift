private import COniguruma

/// The script that a character belongs to, as far as pre-tokenization tells scripts apart.
///
/// Source: Unicode Standard Annex #24. Kana count as ideographs, and a space belongs to every script, as in
/// SentencePiece's `IsValidSentencePiece`.
enum UnicodeScript {
    /// A script's number, or ``any``.
    typealias Number = Int

    /// Belongs to every script.
    static let any: Number = -1

    /// The script of a character.
    static func number(of scalar: UInt32) -> Number {
        switch scalar {
        case 0x20: return any
        case 0x30FC: return number("Han")
        // What they were in the version of Unicode that the reference's table is of.
        case 0x0589, 0x061C: return number("Common")
        case 0x0953, 0x0954: return number("Devanagari")
        default: break
        }
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].last < scalar { low = middle + 1 } else { high = middle }
        }
        guard low < ranges.count, ranges[low].first <= scalar else { return any }
        guard let character = Unicode.Scalar(scalar), character.isKnown(to: .normalization) else {
            return any
        }
        return ranges[low].script
    }

    private struct Stretch {
        let first: UInt32
        let last: UInt32
        let script: Number
    }

    private static func number(_ name: String) -> Number { names.firstIndex(of: name) ?? any }

    /// The scripts, as Oniguruma calls them.
    private static let names = """
        Han Hiragana Katakana Common Inherited Latin Greek Cyrillic Armenian Hebrew Arabic Syriac Thaana Nko \
        Samaritan Mandaic Devanagari Bengali Gurmukhi Gujarati Oriya Tamil Telugu Kannada Malayalam Sinhala \
        Thai Lao Tibetan Myanmar Georgian Hangul Ethiopic Cherokee Canadian_Aboriginal Ogham Runic Tagalog \
        Hanunoo Buhid Tagbanwa Khmer Mongolian Limbu Tai_Le New_Tai_Lue Buginese Tai_Tham Balinese Sundanese \
        Batak Lepcha Ol_Chiki Vedic Glagolitic Coptic Tifinagh Bopomofo Yi Lisu Vai Bamum Syloti_Nagri \
        Phags_Pa Saurashtra Kayah_Li Rejang Javanese Cham Tai_Viet Meetei_Mayek Linear_B Lycian Carian \
        Old_Italic Gothic Old_Permic Ugaritic Old_Persian Deseret Shavian Osmanya Osage Elbasan \
        Caucasian_Albanian Linear_A Cypriot Imperial_Aramaic Palmyrene Nabataean Hatran Phoenician Lydian \
        Meroitic_Hieroglyphs Meroitic_Cursive Kharoshthi Old_South_Arabian Old_North_Arabian Manichaean \
        Avestan Inscriptional_Parthian Inscriptional_Pahlavi Psalter_Pahlavi Old_Turkic Old_Hungarian Brahmi \
        Kaithi Sora_Sompeng Chakma Mahajani Sharada Khojki Multani Khudawadi Grantha Newa Tirhuta Siddham \
        Modi Takri Ahom Warang_Citi Pau_Cin_Hau Bhaiksuki Marchen Cuneiform Egyptian_Hieroglyphs \
        Anatolian_Hieroglyphs Mro Bassa_Vah Pahawh_Hmong Miao Tangut Duployan SignWriting Mende_Kikakui Adlam \
        Braille
        """.split(whereSeparator: \.isWhitespace).map(String.init)

    /// All stretches of characters of one script, in order.
    private static let ranges: [Stretch] = {
        var ranges: [Stretch] = []
        for (number, name) in names.enumerated() {
            let script = name == "Hiragana" || name == "Katakana" ? 0 : number
            for (first, last) in Expression.characters(of: name) {
                ranges.append(Stretch(first: first, last: last, script: script))
            }
        }
        return ranges.sorted { $0.first < $1.first }
    }()
}
