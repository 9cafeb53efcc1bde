import Testing

@testable import Formats

/// Folders of tokenizer files beside what transformers' AutoTokenizer loads of them.
@Suite("Ids in a tokenizer's files")
struct TokenNumberingTests {
    private struct Layout {
        let name: String
        let files: TokenizerFiles
        let agree: Bool
        let ids: JSONObject
    }

    private static func layouts() throws -> [Layout] {
        let file = tokenizerFixtures + "/layouts.json"
        let json = try JSON(parsing: InputFile(path: file).bytes(), file: file)
        return try #require(json["layouts"]?.array).map { layout in
            let files = try #require(layout["files"]?.object).map { name, content in
                AuxiliaryFile(name: name, content: .bytes(content.serialized(indent: nil)))
            }
            return Layout(
                name: try #require(layout["name"]?.string), files: TokenizerFiles(of: files, path: "model"),
                agree: layout["agree"] == true, ids: try #require(layout["ids"]?.object))
        }
    }

    @Test func areThoseOfAutoTokenizer() throws {
        let layouts = try Self.layouts()
        #expect(layouts.count { $0.agree } >= 30 && layouts.count { !$0.agree } >= 20)
        for layout in layouts {
            let disagreements = try layout.files.loaded().disagreements
            #expect(disagreements.isEmpty == layout.agree, "\(layout.name): \(disagreements)")
            guard layout.agree else {
                let error = #expect(throws: UserFacingError.self) { _ = try layout.files.agreeingTokenizer() }
                #expect(error?.kind == .inconsistent, "\(layout.name)")
                continue
            }
            let tokenizer = try layout.files.agreeingTokenizer()
            for (token, id) in layout.ids {
                #expect(tokenizer.id(of: token).map(Int.init) == id.int, "\(layout.name): \(token)")
            }
            #expect(tokenizer.largestID + 1 == layout.ids.count, "\(layout.name)")
        }
    }

    /// What is added to a layout has the ids that it is given, for transformers, too: the files agree again, and what the
    /// other files had is in tokenizer.json.
    @Test func agreeWhenTokensWereAdded() throws {
        for layout in try Self.layouts() where layout.agree {
            let old = try layout.files.agreeingTokenizer()
            let first = Int32(old.largestID + 1)
            for extra in [
                VocabularyExtension(added: [.init(id: first, content: "<new>", isSpecial: true)]),
                VocabularyExtension(
                    tokens: [.init(id: first, spelling: "aba")], merges: [.init(left: "ab", right: "a")],
                    added: [.init(id: first + 1, content: "<new>", isSpecial: false)]),
            ] {
                for taken in [[], [Int(first)], [Int(first) + 1, Int(first) + 3]] {
                    let placed = extra.avoiding(Set(taken))
                    let result = try layout.files.extended(by: placed)
                    #expect(try result.loaded().disagreements == [], "\(layout.name)")
                    let new = try result.agreeingTokenizer()
                    for (token, id) in layout.ids {
                        #expect(new.id(of: token).map(Int.init) == id.int, "\(layout.name): \(token)")
                    }
                    for token in placed.added { #expect(new.id(of: token.content) == token.id) }
                    for token in placed.tokens { #expect(new.id(of: token.spelling) == token.id) }
                    #expect(
                        Set((placed.tokens.map(\.id) + placed.added.map(\.id)).map(Int.init)).isDisjoint(
                            with: taken))
                }
            }
        }
    }

    private static let main = """
        {"added_tokens": [{"id": 0, "content": "<s>", "special": true}], "pre_tokenizer": null,
         "model": {"type": "BPE", "vocab": {"<s>": 0, "a": 1, "b": 2, "ab": 3}, "merges": ["a b"]}}
        """

    private func files(_ others: [(String, [UInt8])], main: String = Self.main) -> TokenizerFiles {
        TokenizerFiles(
            of: ([("tokenizer.json", Array(main.utf8))] + others).map {
                AuxiliaryFile(name: $0.0, content: .bytes($0.1))
            }, path: "model")
    }

    /// A SentencePiece model of these pieces.
    private func pieces(_ texts: [String]) -> [UInt8] {
        texts.flatMap { [0x0A, UInt8($0.utf8.count + 2), 0x0A, UInt8($0.utf8.count)] + Array($0.utf8) }
    }

    @Test(arguments: [
        (
            "added_tokens.json", #"{"[PAD]": 3}"#,
            #"added_tokens.json gives "[PAD]" the id 3, but in tokenizer.json that is "ab""#
        ),
        (
            "vocab.json", #"{"a": 1, "b": 2, "xy": 3}"#,
            #"vocab.json gives "xy" the id 3, but in tokenizer.json that is "ab""#
        ),
        (
            "vocab.json", #"{"a": 2, "b": 1}"#,
            #"vocab.json gives "a" the id 2, but in tokenizer.json that is "b", so transformers gives it 1"#
        ),
        ("vocab.json", #"{"a": 1, "zz": 4}"#, #"vocab.json gives "zz" the id 4, but tokenizer.json"#),
        (
            "tokenizer_config.json",
            #"{"added_tokens_decoder": {"3": {"content": "<im>", "special": true}}}"#,
            #"tokenizer_config.json (added_tokens_decoder) gives "<im>" the id 3, but in tokenizer.json that is "ab", so transformers gives it 4"#
        ),
    ])
    func areNamedWithBothFiles(_ name: String, _ content: String, _ sentence: String) throws {
        let found = try files([(name, Array(content.utf8))]).loaded().disagreements
        #expect(found.first?.hasPrefix(sentence) ?? false, "\(found)")
    }

    @Test func ofSentencePieceAreItsPlaces() throws {
        #expect(try files([("tokenizer.model", pieces(["<s>", "a", "b"]))]).loaded().disagreements == [])
        let wrong = try files([("tokenizer.model", pieces(["<s>", "a", "c", "ab"]))]).loaded().disagreements
        #expect(wrong == [#"tokenizer.model gives "c" the id 2, but in tokenizer.json that is "b""#])
        // An added token that has taken an unused piece's place is no contradiction.
        let renamed = try files([("tokenizer.model", pieces(["[unused]", "a", "b", "ab"]))]).loaded()
        #expect(renamed.disagreements == [])
    }

    @Test func ofSentencePieceFollowBehindAddedTokens() throws {
        let source = files([
            ("tokenizer.model", pieces(["<s>", "a", "b", "ab"])),
            ("added_tokens.json", Array(#"{"[PAD]": 4}"#.utf8)),
        ])
        let extra = VocabularyExtension(
            tokens: [.init(id: 5, spelling: "aba")], merges: [.init(left: "ab", right: "a")])
        let result = try source.extended(by: extra)
        let model = try SentencePieceModel(
            try #require(try result.bytes("tokenizer.model")), file: "tokenizer.model")
        #expect(model.pieces.map(\.text) == ["<s>", "a", "b", "ab", "[PAD]", "aba"])
    }

    @Test func thatCanNotFollowStayBehind() throws {
        let source = files([
            ("tekken.json", Array("{}".utf8)), ("qwen.tiktoken", Array("YQ== 0\n".utf8)),
            ("tokenizer.model", Array("YQ== 0\n".utf8)), ("vocab.txt", Array("a\n".utf8)),
        ])
        #expect(source.notFollowing == ["tekken.json", "qwen.tiktoken", "tokenizer.model"])
        let result = try source.extended(
            by: VocabularyExtension(added: [.init(id: 4, content: "<n>", isSpecial: true)]))
        #expect(result.auxiliaryFiles.map(\.name) == ["tokenizer.json", "vocab.txt"])
    }

    @Test(arguments: [
        ("vocab.json", #"{"a": 0, "b": 6}"#, 7), ("added_tokens.json", #"{"<x>": 8}"#, 9),
        ("tokenizer_config.json", #"{"added_tokens_decoder": {"10": {"content": "<x>"}}}"#, 11),
        ("vocab.txt", "a\nb\nc\n", 3), ("qwen.tiktoken", "YQ== 0\nYg== 4\n", 5),
        ("tekken.json", #"{"config": {"default_vocab_size": 131072}}"#, 131_072),
    ])
    func withoutTheMainFileAreCounted(_ name: String, _ content: String, _ count: Int) throws {
        let files = TokenizerFiles(
            of: [AuxiliaryFile(name: name, content: .bytes(Array(content.utf8)))], path: "model")
        #expect(try files.countWithoutMain()?.count == count)
        let model = TokenizerFiles(
            of: [AuxiliaryFile(name: "tokenizer.model", content: .bytes(pieces(["a", "b"])))], path: "model")
        #expect(try model.countWithoutMain()?.count == 2)
        let error = #expect(throws: UserFacingError.self) { _ = try model.tokenizer() }
        #expect("\(error.map { "\($0)" } ?? "")".contains("of tokenizer.model transformers makes one"))
    }

    @Test func needRowsWhereTheyCanCome() throws {
        func needed(_ others: [(String, String)]) throws -> Int {
            let files = files(others.map { ($0.0, Array($0.1.utf8)) })
            return try files.neededRows(files.tokenizer())
        }
        #expect(try needed([]) == 4)
        #expect(try needed([("tokenizer_config.json", #"{"pad_token": "[PAD]"}"#)]) == 4)
        #expect(try needed([("tokenizer_config.json", #"{"eos_token": "<end>"}"#)]) == 5)
        #expect(
            try needed([
                ("added_tokens.json", #"{"<im>": 4, "[PAD]": 5}"#), ("chat_template.jinja", "<im>{{ text }}"),
            ]) == 5)
    }
}
