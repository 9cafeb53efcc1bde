import Testing

@testable import Formats

/// What each part of the reference makes of a few hard texts (Scripts/fixtures/tokenizer_components.py).
@Suite struct TokenizerComponents {
    let golden: JSON

    init() throws { golden = try JSON.read(path: tokenizerFixtures + "/components.json") }

    private func elements(_ key: String, of value: JSON) throws -> [JSON] {
        let elements = try #require(value[key]?.array)
        try #require(!elements.isEmpty)
        return elements
    }

    private func strings(_ value: JSON?) throws -> [[UInt8]] {
        try #require(value?.array).map { Array(try #require($0.string).utf8) }
    }

    private func field(_ json: JSON?) -> TokenizerField {
        TokenizerField(file: "test", path: "part", json: json)
    }

    private func comment(_ entry: JSON) -> Comment {
        Comment(rawValue: String(decoding: entry["part"]?.serialized(indent: nil) ?? [], as: UTF8.self))
    }

    @Test func preTokenizersDivideAsTheReference() throws {
        let texts = try strings(golden["texts"])
        for entry in try elements("pre_tokenizers", of: golden) {
            let preTokenizer = try PreTokenizer(field(entry["part"]))
            for (text, expected) in zip(texts, try elements("pieces", of: entry)) {
                var pieces = PreTokenizedString(text)
                try preTokenizer.apply(to: &pieces)
                let found = pieces.pieces.map { piece in
                    let raw = Array(pieces.bytes[piece.start..<piece.end])
                    guard preTokenizer.endsInBytes else { return raw }
                    var spelled: [UInt8] = []
                    ByteAlphabet.encode(raw.span, into: &spelled)
                    return spelled
                }
                #expect(found == (try strings(expected)), comment(entry))
            }
        }
    }

    @Test func normalizersChangeAsTheReference() throws {
        let texts = try strings(golden["texts"])
        for entry in try elements("normalizers", of: golden) {
            let normalizer = try #require(try Normalizer(field(entry["part"])))
            for (text, expected) in zip(texts, try strings(entry["texts"])) {
                #expect(try normalizer.apply(to: text) == expected, comment(entry))
            }
        }
    }

    @Test func decodersJoinAsTheReference() throws {
        for entry in try elements("decoders", of: golden) {
            let decoder = try #require(try Decoder(field(entry["part"])))
            for (tokens, expected) in zip(try elements("tokens", of: entry), try strings(entry["texts"])) {
                let found = try decoder.apply(to: try strings(tokens)).flatMap { $0 }
                #expect(found == expected, comment(entry))
            }
        }
    }

    @Test func postProcessorsAddAsTheReference() throws {
        let model = try #require(golden["models"]?[0]?["part"])
        for entry in try elements("post_processors", of: golden) {
            let json: JSON = ["model": model, "post_processor": try #require(entry["part"])]
            let tokenizer = try Tokenizer(json: json, file: "test")
            for (text, expected) in zip(["abcab", "", "c"], try elements("ids", of: entry)) {
                #expect(
                    try tokenizer.encode(text).map { Int($0) } == expected.array?.compactMap(\.int),
                    comment(entry))
            }
            let plain = try tokenizer.encode("abcab", addSpecialTokens: false)
            #expect(plain.map { Int($0) } == entry["plain"]?.array?.compactMap(\.int), comment(entry))
        }
    }

    @Test func modelsDivideAsTheReference() throws {
        let words = try #require(golden["words"]?.array)
        for entry in try elements("models", of: golden) {
            let json: JSON = ["model": try #require(entry["part"])]
            let tokenizer = try Tokenizer(json: json, file: "test")
            for (word, expected) in zip(words, try elements("ids", of: entry)) {
                let ids = try tokenizer.encode(try #require(word.string))
                #expect(ids.map { Int($0) } == expected.array?.compactMap(\.int), comment(entry))
            }
        }
    }

    @Test func addedTokensAreFoundAsByTheReference() throws {
        let texts = try elements("added_texts", of: golden)
        for entry in try elements("added_tokens", of: golden) {
            let tokenizer = try Tokenizer(json: try #require(entry["part"]), file: "test")
            let lists = try elements("ids", of: entry)
            for (index, decoded) in try elements("decoded", of: entry).enumerated() {
                let ids = try tokenizer.encode(try #require(texts[index].string))
                #expect(ids.map { Int($0) } == lists[index].array?.compactMap(\.int), comment(entry))
                #expect(.string(tokenizer.decode(ids, skipSpecialTokens: true)) == decoded, comment(entry))
            }
        }
    }
}
