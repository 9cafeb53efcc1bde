import Testing

@testable import Formats

@Suite("YAML")
struct YAMLTests {
    private func json(_ text: String) throws -> JSON { try YAMLNode(parsing: text, file: "a.yaml").json }

    @Test func whatWordsAre() throws {
        let text = """
            a: 1
            b: -2.5e-3
            c: 20_000_000
            d: true
            e: ~
            f: "1"
            g: models/base
            h: [1, x, {y: z}]
            i: 1e-5
            j: 0.75
            k: >
              two
              words
            l: 1.2.3
            m: .5
            n: 'yes'
            o:
            """
        #expect(
            try json(text) == [
                "a": 1, "b": JSON(-2.5e-3), "c": 20_000_000, "d": true, "e": .null, "f": "1",
                "g": "models/base",
                "h": [1, "x", ["y": "z"]], "i": JSON(1e-5), "j": JSON(0.75), "k": "two words\n", "l": "1.2.3",
                "m": JSON(0.5), "n": "yes", "o": .null,
            ])
    }

    @Test func linesAreKnown() throws {
        let node = try YAMLNode(parsing: "# a comment\na: 1\nb:\n  - x\n  - c: 2\n", file: "a.yaml")
        #expect(node.entries?.map(\.line) == [2, 3])
        #expect(node["b"]?.list?.map(\.line) == [4, 5])
        #expect(node["b"]?.list?[1].entries?[0].key == "c" && node["c"] == nil)
    }

    @Test(arguments: [
        ("a: 1\na: 2", "a.yaml, line 1: a stands twice"), ("a:\n\tb: 1", "line 2: column 1"),
        ("a: b: c", "line 1: column 5"), ("a: yes", "line 1: 'yes' is a truth value to some"),
        ("a: 1\nb: 010", "line 2: '010' is a number of base eight"),
        ("a: !!python/object:os.system 1", "line 1"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "line 3: merge keys"), ("a: *x", "undefined alias"),
        ("", "nothing in it"),
        ("a: 1\n---\nb: 2", "another document"), ("? [1]\n: 2", "a key must be a word"), ("[a", "line"),
    ])
    func refuses(text: String, message: String) {
        let error = #expect(throws: UserFacingError.self) { try json(text) }
        #expect(
            error?.message.contains(message) == true && error?.kind == .malformed, "\(error?.message ?? "")")
    }

    /// Nine levels of nine aliases each are 10⁹ values.
    @Test func aliasesDoNotMultiply() throws {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            text +=
                "a\(level): &a\(level) [\((0..<9).map { _ in "*a\(level - 1)" }.joined(separator: ", "))]\n"
        }
        let error = #expect(throws: UserFacingError.self) { try json(text) }
        #expect(error?.message.contains("aliases multiply") == true)
        // Some are fine.
        #expect(try json("a: &x [1, 2]\nb: *x") == ["a": [1, 2], "b": [1, 2]])
    }

    @Test func nestingHasALimit() {
        #expect(throws: UserFacingError.self) { try json(String(repeating: "[", count: 20_000)) }
    }
}
