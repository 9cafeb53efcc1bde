/// The words that spaCy's English tokenizer divides in a way of their own, or not at all, with the sizes of their pieces.
///
/// Put together from the rules of spaCy 3.8's `lang/en/tokenizer_exceptions.py` and `lang/tokenizer_exceptions.py`. A table of
/// open addresses over a hash of the word's bytes.
struct EnglishExceptions: Sendable {
    /// All of them.
    static let table = EnglishExceptions(rules)
    /// The most bytes of such a word.
    let longest: Int

    private let keys: [UInt64]
    /// The sizes of a word's pieces in bytes, eight bits each, the first in the lowest.
    private let sizes: [UInt64]
    /// A hash of the sizes of the pieces that the splitter's rules alone make of a word; 0 where they leave it whole.
    private var divisions: [UInt64] = []

    /// The sizes of the pieces of a word, eight bits each; nil for other words.
    @inline(__always)
    func pieces(_ bytes: [UInt8], _ range: Range<Int>) -> UInt64? {
        slot(bytes, range).map { sizes[$0] }
    }

    /// Whether a range is an exception, and the splitter's rules alone divide it into just these pieces.
    @inline(__always)
    func isDivided(_ bytes: [UInt8], _ range: Range<Int>, in pieces: some Sequence<(UInt32, UInt32)>) -> Bool
    {
        guard let slot = slot(bytes, range), divisions[slot] != 0 else { return false }
        return divisions[slot] == Self.hash(pieces.lazy.map { $1 - $0 })
    }

    @inline(__always)
    private func slot(_ bytes: [UInt8], _ range: Range<Int>) -> Int? {
        guard range.count <= longest else { return nil }
        let key = Self.hash(bytes, range)
        var slot = Int(truncatingIfNeeded: key) & (keys.count - 1)
        while keys[slot] != 0 {
            if keys[slot] == key { return slot }
            slot = (slot + 1) & (keys.count - 1)
        }
        return nil
    }

    @inline(__always)
    private static func hash(_ bytes: [UInt8], _ range: Range<Int>) -> UInt64 {
        hash(range.lazy.map { bytes[$0] })
    }

    @inline(__always)
    private static func hash(_ numbers: some Sequence<some BinaryInteger>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for number in numbers { hash = (hash ^ UInt64(number)) &* 0x0000_0100_0000_01B3 }
        return (hash ^ hash >> 32) | 1 << 63
    }

    private static var rules: [String: [String]] {
        var words: [String: [String]] = [:]
        addContractions(to: &words)
        addWhole(to: &words)
        for word in excluded { words[word] = nil }
        for (word, pieces) in words where word.contains("'") {
            func curly(_ text: String) -> String { text.replacing("'", with: "’") }
            words[curly(word)] = pieces.map(curly)
        }
        return words
    }

    private init(_ words: [String: [String]]) {
        var (keys, sizes) = ([UInt64](repeating: 0, count: 4096), [UInt64](repeating: 0, count: 4096))
        for (word, pieces) in words {
            let bytes = Array(word.utf8)
            let key = Self.hash(bytes, 0..<bytes.count)
            var slot = Int(truncatingIfNeeded: key) & (keys.count - 1)
            while keys[slot] != 0 {
                precondition(keys[slot] != key, "two exceptions have one hash")
                slot = (slot + 1) & (keys.count - 1)
            }
            keys[slot] = key
            for piece in pieces.reversed() { sizes[slot] = sizes[slot] << 8 | UInt64(piece.utf8.count) }
        }
        (self.keys, self.sizes) = (keys, sizes)
        longest = words.keys.map(\.utf8.count).max() ?? 0
        divisions = [UInt64](repeating: 0, count: keys.count)
        guard !words.isEmpty else { return }
        var splitter = WordSplitter(exceptions: EnglishExceptions([:]))
        for word in words.keys {
            let bytes = Array(word.utf8)
            splitter.split(bytes)
            if splitter.starts.count > 1, let slot = slot(bytes, 0..<bytes.count) {
                divisions[slot] = Self.hash(zip(splitter.starts, splitter.ends).lazy.map { $1 - $0 })
            }
        }
    }

    // MARK: The rules

    private static func addContractions(to words: inout [String: [String]]) {
        /// With an apostrophe and without, as a sentence's first word and within.
        func add(_ stems: String, _ endings: [[String]]) {
            for stem in stems.split(separator: " ").map(String.init) {
                for start in [stem, stem.prefix(1).uppercased() + stem.dropFirst()] {
                    for ending in endings {
                        words[([start] + ending).joined()] = [start] + ending
                        let plain = [start] + ending.map { $0.replacing("'", with: "") }
                        words[plain.joined()] = plain
                    }
                }
            }
        }
        let (will, would) = ([["'ll"], ["'ll", "'ve"]], [["'d"], ["'d", "'ve"]])
        add("i", [["'m"], ["'m", "a"]])
        add("i you he she it we they", will + would)
        add("i you we they", [["'ve"]])
        add("you we they", [["'re"]])
        add("he she it", [["'s"]])
        add("who what when where why how there that this these those", will + would)
        add("who what when where why how there that this", [["'s"]])
        add("who what when where why how there these those", [["'re"], ["'ve"]])
        add(
            "ca could do does did had may might must need ought sha should wo would",
            [["n't"], ["n't", "'ve"]])
        add("could might must should would", [["'ve"]])
        add("ai are is was were have has dare", [["n't"]])
        add("not", [["'ve"]])
        for hour in 1...12 {
            for half in ["a.m.", "am", "p.m.", "pm"] { words["\(hour)\(half)"] = ["\(hour)", half] }
        }
        for pieces in [
            ["y'", "all"], ["y", "all"], ["how", "'d", "'y"], ["How", "'d", "'y"], ["can", "not"],
            ["Can", "not"], ["gon", "na"], ["Gon", "na"], ["got", "ta"], ["Got", "ta"], ["let", "'s"],
            ["Let", "'s"], ["c'm", "on"], ["C'm", "on"],
        ] {
            words[pieces.joined()] = pieces
        }
        for letter in "cfkCFK" { words["°\(letter)."] = ["°", String(letter), "."] }
    }

    private static func addWhole(to words: inout [String: [String]]) {
        for word in whole.split(whereSeparator: \.isWhitespace).map(String.init) { words[word] = [word] }
        for letter in "abcdefghijklmnopqrstuvwxyzäöü" { words["\(letter)."] = ["\(letter)."] }
    }

    private static let excluded = [
        "Ill", "ill", "Its", "its", "Hell", "hell", "Shell", "shell", "Shed", "shed", "were", "Were", "Well",
        "well", "Whore", "whore",
    ]

    /// Words and emoticons that stay whole.
    private static let whole = #"""
        doin doin' Doin Doin' goin goin' Goin Goin' nothin nothin' Nothin Nothin' nuthin nuthin' Nuthin Nuthin'
        ol ol' Ol Ol' somethin somethin' Somethin Somethin' em 'em ll 'll nuff 'nuff
        'S 's ‘S ‘s and/or w/o 're 'Cause 'cause 'cos 'Cos 'coz 'Coz 'cuz 'Cuz 'bout ma'am Ma'am o'clock O'clock
        lovin' Lovin' lovin Lovin havin' Havin' havin Havin 'd
        Mt. Ak. Ala. Apr. Ariz. Ark. Aug. Calif. Colo. Conn. Dec. Del. Feb. Fla. Ga. Ia. Id. Ill. Ind. Jan. Jul.
        Jun. Kan. Kans. Ky. La. Mar. Mass. Mich. Minn. Miss. N.C. N.D. N.H. N.J. N.M. N.Y. Neb. Nebr. Nev. Nov.
        Oct. Okla. Ore. Pa. S.C. Sep. Sept. Tenn. Va. Wash. Wis.
        a.m. Adm. Bros. co. Co. Corp. D.C. Dr. e.g. E.g. E.G. Gen. Gov. i.e. I.e. I.E. Inc. Jr. Ltd. Md. Messrs.
        Mo. Mont. Mr. Mrs. Ms. p.m. Ph.D. Prof. Rep. Rev. Sen. St. vs. v.s.
        \t \n — ' \") <space> '' C++
        :) :-) :)) :-)) :))) :-))) (: (-: =) (= :] :-] [: [-: [= =] :o) (o: :} :-} 8) 8-) (-8 ;) ;-) (; (-;
        :( :-( :(( :-(( :((( :-((( ): )-: =( >:( :') :'-) :'( :'-( :/ :-/ =/ =| :| :-| ]= =[ :1 :P :-P :p :-p :O
        :-O :o :-o :0 :-0 :() >:o :* :-* :3 :-3 =3 :> :-> :X :-X :x :-x :D :-D ;D ;-D =D xD XD xDD XDD 8D 8-D
        ^_^ ^__^ ^___^ >.< >.> <.< ._. ;_; -_- -__- v.v V.V v_v V_V o_o o_O O_o O_O 0_o o_0 0_0 o.O O.o O.O o.o
        0.0 o.0 0.o @_@ <3 <33 <333 </3 (^_^) (-_-) (._.) (>_<) (*_*) (¬_¬) ಠ_ಠ ಠ︵ಠ (ಠ_ಠ) ¯\(ツ)/¯ (╯°□°）╯︵┻━┻
        ><(((*>
        """#
}
