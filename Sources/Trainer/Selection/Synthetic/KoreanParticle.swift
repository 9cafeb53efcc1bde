/// A Korean particle of two forms, of which the last sound of the word before it takes one.
///
/// Source: Standard Korean Language Dictionary of the National Institute of Korean Language (<https://stdict.korean.go.kr>), the
/// entries of each form: 은, 이, 을, 과 … behind a final consonant, 는, 가, 를, 와 … behind a vowel; 로 behind a vowel and behind
/// ㄹ, 으로 behind any other consonant. Numbers are read in Sino-Korean, capital letters by their names there (엘, 엠, 엔, 알 end
/// in a consonant, all others in a vowel).
struct KoreanParticle: Sendable, Equatable {
    /// The form behind a final consonant, and the one behind a vowel.
    let afterConsonant, afterVowel: String

    /// What a word ends in, for a particle.
    enum LastSound: Equatable {
        case vowel, rieul, consonant
    }

    /// The particles, as a template names them.
    static let names = [
        "은/는", "이/가", "을/를", "과/와", "으로/로", "으로서/로서", "으로써/로써", "으로부터/로부터", "아/야", "이나/나", "이랑/랑", "이란/란",
        "이며/며", "이고/고", "이다/다", "이라/라", "이라고/라고", "이라는/라는", "이었다/였다", "이에요/예요", "이든/든",
    ]

    /// The particle of a name; nil for one that is not known.
    init?(named name: String) {
        guard Self.names.contains(name), let slash = name.firstIndex(of: "/") else { return nil }
        (afterConsonant, afterVowel) = (String(name[..<slash]), String(name[name.index(after: slash)...]))
    }

    /// The form behind a word; nil where its letters don't tell how it ends.
    func form(after word: String) -> String? {
        switch Self.lastSound(of: word) {
        case .vowel: afterVowel
        case .rieul: afterConsonant.hasPrefix("으로") ? afterVowel : afterConsonant
        case .consonant: afterConsonant
        case nil: nil
        }
    }

    /// Both forms at once, as Korean is written where the word before is open: 은(는), (으)로, (이)다.
    var undecided: String {
        guard afterConsonant.hasSuffix(afterVowel) else { return "\(afterConsonant)(\(afterVowel))" }
        return "(\(afterConsonant.dropLast(afterVowel.count)))\(afterVowel)"
    }

    /// What a word ends in; nil where its letters don't tell, as those of Google.
    ///
    /// What stands in brackets at its end, and quotes and punctuation there, are not what the particle goes by: 서울(Seoul)은.
    static func lastSound(of word: String) -> LastSound? {
        let letters = spoken(Array(word.unicodeScalars)[...])
        guard let last = letters.last else { return nil }
        switch last.value {
        case 0xAC00...0xD7A3: return sound(ofFinal: (last.value - 0xAC00) % 28)
        // A syllable in parts (NFD): a vowel, or a final consonant.
        case 0x1161...0x1175: return .vowel
        case 0x11A8...0x11C2: return sound(ofFinal: last.value - 0x11A7)
        case 0x30...0x39: return sound(ofNumber: letters)
        case 0x41...0x5A, 0x61...0x7A: return sound(ofLatin: letters)
        // 퍼센트, 도.
        case 0x25, 0xB0, 0x2103: return .vowel
        default: return nil
        }
    }

    /// ㄹ is the eighth final consonant.
    private static func sound(ofFinal number: UInt32) -> LastSound {
        number == 0 ? .vowel : number == 8 ? .rieul : .consonant
    }

    /// How a number ends, read in Sino-Korean: 영 일 이 삼 사 오 육 칠 팔 구, and 십 백 천 만 억 조 경 by the zeros at its end.
    private static func sound(ofNumber letters: ArraySlice<Unicode.Scalar>) -> LastSound {
        let number = letters.reversed().prefix { ("0"..."9").contains($0) || $0 == "," }
        let digits = number.filter { $0 != "," }
        guard digits.first == "0" else {
            return [.rieul, .vowel, .consonant, .vowel, .vowel, .consonant, .rieul, .rieul, .vowel][
                Int(digits[0].value) - 0x31]
        }
        // Of all of them 조 alone, 10 to the 12th, ends in a vowel.
        let zeros = digits.prefix { $0 == "0" }.count
        return zeros < digits.count && (12..<16).contains(zeros) ? .vowel : .consonant
    }

    /// How capital letters end, which are read one by one; nil for words, whose spelling does not tell it.
    private static func sound(ofLatin letters: ArraySlice<Unicode.Scalar>) -> LastSound? {
        let run = letters.reversed().prefix { $0.properties.isAlphabetic && $0.value < 0x250 }
        guard run.allSatisfy({ ("A"..."Z").contains($0) }), let last = run.first else { return nil }
        switch last {
        case "L", "R": return .rieul
        case "M", "N": return .consonant
        default: return .vowel
        }
    }

    /// A word without what stands in brackets at its end, and without quotes and punctuation there.
    private static func spoken(_ word: ArraySlice<Unicode.Scalar>) -> ArraySlice<Unicode.Scalar> {
        var word = word
        while let last = word.last, !counts(last) {
            if let open = brackets[last], let start = word.lastIndex(of: open),
                word[..<start].contains(where: counts)
            {
                word = word[..<start]
            } else {
                word = word.dropLast()
            }
        }
        return word
    }

    private static func counts(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
            .decimalNumber,
            .letterNumber, .otherNumber, .nonspacingMark, .spacingMark, .mathSymbol, .currencySymbol,
            .otherSymbol:
            true
        default: scalar == "%" || scalar == "#"
        }
    }

    private static let brackets: [Unicode.Scalar: Unicode.Scalar] = [
        ")": "(", "]": "[", "）": "（", "〕": "〔", "】": "【",
    ]
}
