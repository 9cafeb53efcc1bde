import Formats
import Testing

@testable import Trainer

/// Words, measures and signatures beside datatrove's.
@Suite struct SelectionMeasureTests {
    let fixture: SelectionFixture

    init() throws { fixture = try SelectionFixture() }

    @Test func wordsAreSpacys() throws {
        var splitter = WordSplitter()
        var compared = 0
        for entry in fixture.cases {
            guard let words = entry.words else { continue }
            splitter.split(entry.text)
            let found = zip(splitter.starts, splitter.ends).map {
                String(decoding: entry.text[Int($0)..<Int($1)], as: UTF8.self)
            }
            #expect(found.map { Array($0.utf8) } == words.map { Array($0.utf8) }, "\(entry.name)")
            compared += found.count
        }
        #expect(compared > 1000)
    }

    @Test func textIsSimplifiedAsThere() throws {
        var simplifier = TextSimplifier()
        for entry in fixture.cases {
            guard let simplified = entry.simplified else { continue }
            simplifier.simplify(entry.text)
            #expect(simplifier.text == Array(simplified.utf8), "\(entry.name)")
        }
    }

    @Test func signaturesAreTheVeryNumbers() throws {
        var shingler = Shingler()
        let minHash = MinHash()
        var compared = 0
        for entry in fixture.cases {
            guard let signature = entry.signature else { continue }
            let found = minHash.signature(of: shingler.shingles(of: entry.text, isHangul: false))
            #expect(signature.count == MinHash.bands * MinHash.rows)
            #expect(found == signature, "\(entry.name)")
            compared += 1
        }
        #expect(compared == 4)
    }

    @Test(arguments: [
        SelectionRule.Group.gopherQuality, SelectionRule.Group.gopherRepetition, SelectionRule.Group.fineweb,
    ])
    func verdictsAreTheSame(group: SelectionRule.Group) throws {
        var measured = MeasuredText()
        var reasons: Set<String> = []
        for entry in fixture.cases {
            // A text without a word is one reason here and another there.
            guard entry.name != "empty" else { continue }
            measured.set(entry.text)
            var reason: String?
            for rule in SelectionRule.published where rule.group == group && reason == nil {
                if rule.drops(measured.value(of: rule.measure)) { reason = rule.name }
            }
            #expect(reason == entry.verdicts[group.rawValue] ?? "missing", "\(entry.name)")
            if let reason { reasons.insert(reason) }
        }
        #expect(reasons.count >= 3)
    }

    /// XXH64 of the specification's own examples.
    @Test func hashesAreXXH64() {
        let text = Array("abc Nobody inspects the spammish repetition".utf8)
        let found = hashes(of: text, [0, 0, 4], [0, 3, UInt32(text.count)])
        #expect(found == [0xEF46_DB37_51D8_E999, 0x44BC_2CF5_AD77_0999, 0xFBCE_A83C_8A37_8BF1])
    }

    @Test func kernelIsItsTwin() {
        var generator = MersenneTwister(seed: 5)
        let minHash = MinHash()
        let shingles = (0..<37).map { _ in generator.next(from: 0, below: .max) }
        let signature = minHash.signature(of: shingles)
        var parameters = MersenneTwister(seed: 1)
        let count = MinHash.bands * MinHash.rows
        let multipliers = (0..<count).map { _ in parameters.next(from: 1, below: 1 << 61 - 1) }
        let addends = (0..<count).map { _ in parameters.next(from: 0, below: 1 << 61 - 1) }
        for function in 0..<count {
            let least = shingles.map { ($0 &* multipliers[function] &+ addends[function]) % (1 << 61 - 1) }
                .min()
            #expect(signature[function] == least)
        }
        #expect(minHash.signature(of: []).isEmpty)
    }

    @Test(arguments: [
        ("한국어 문장입니다. 이 글은 대부분 한글이다.", "hangul", 1.0), ("half 절반", "latin", 2.0 / 3), ("1234 !?", "han", 0),
    ])
    func scriptsAreSharesOfLetters(text: String, script: String, share: Double) throws {
        var measured = MeasuredText()
        measured.set(Array(text.utf8))
        #expect(abs(measured.value(of: .scriptShare(script)) - share) < 1e-9)
    }
}
