import Foundation
import TestSupport
import Testing

@testable import Formats

/// What tokenizer_config.json asks for besides tokenizer.json, as transformers 5.24 heeds it.
@Suite("Settings of a tokenizer")
struct TokenizerSettingsTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func files(_ tokenizer: JSON, _ settings: JSON, _ configuration: JSON? = nil) throws
        -> TokenizerFiles
    {
        try folder.write("tokenizer.json", tokenizer.serialized(indent: nil))
        try folder.write("tokenizer_config.json", settings.serialized(indent: nil))
        if let configuration { try folder.write("config.json", configuration.serialized(indent: nil)) }
        return TokenizerFiles(
            of: ["tokenizer.json", "tokenizer_config.json"].map { name in
                AuxiliaryFile(name: name, content: .bytes((try? folder.bytes(name)) ?? []))
            }, path: folder.path)
    }

    private static let characters: JSON = [
        "added_tokens": [
            ["id": 0, "content": "<s>", "special": true], ["id": 1, "content": "<p>", "special": false],
        ],
        "model": [
            "type": "BPE", "merges": [],
            "vocab": ["<s>": 0, "<p>": 1, "<": 2, "s": 3, ">": 4, "p": 5, "a": 6],
        ],
    ]

    /// `AutoTokenizer` gives these ids of the same files.
    @Test func splitSpecialTokensAreText() throws {
        let whole = try files(Self.characters, ["split_special_tokens": false]).tokenizer()
        #expect(try whole.encode("a<s>a<p>") == [6, 0, 6, 1])
        let split = try files(Self.characters, ["split_special_tokens": true]).tokenizer()
        #expect(try split.encode("a<s>a<p>") == [6, 2, 3, 4, 6, 1])
        #expect(try whole.reading(TextOptions(isPlain: true)).encode("a<s>") == [6, 2, 3, 4])
        // A special token that is split is still one that its model can mean.
        #expect(try split.reach(of: 0) == .typed)
        var counts: [String: Int] = [:]
        split.countControlTokens(in: Array("<s><p> <s>".utf8).span, into: &counts)
        #expect(counts == ["<s>": 2])
    }

    /// A vocabulary of bytes, filled up to more than 100,000 tokens, with "12" as a token.
    private func large(_ preTokenizer: JSON) -> JSON {
        var vocabulary = JSONObject()
        for byte in 0..<256 {
            var spelled: [UInt8] = []
            ByteAlphabet.encode([UInt8(byte)].span, into: &spelled)
            vocabulary[String(decoding: spelled, as: UTF8.self)] = .some(JSON(byte))
        }
        vocabulary["12"] = .some(JSON(256))
        for id in 257..<100_001 { vocabulary["unused\(id)"] = .some(JSON(id)) }
        return [
            "pre_tokenizer": preTokenizer,
            "model": ["type": "BPE", "merges": ["1 2"], "vocab": .object(vocabulary)],
        ]
    }

    private static let bytes: JSON = ["type": "ByteLevel", "add_prefix_space": false, "use_regex": true]

    @Test(
        arguments: [
            (["model_type": "mistral", "transformers_version": "4.57.1"], true),
            (["model_type": "ministral"], true), (["transformers_version": "4.57.1"], true),
            (["model_type": "mistral3", "transformers_version": "5.0.0.dev0"], true),
            (["model_type": "mistral", "transformers_version": "5.0.0"], false),
            (["model_type": "mistral", "transformers_version": "5.10.1"], false),
            (["model_type": "llama", "transformers_version": "4.57.1"], false), (nil, false),
        ] as [(JSON?, Bool)])
    func mistralsPatternIsMended(_ configuration: JSON?, _ applies: Bool) throws {
        let fixed = try files(large(Self.bytes), ["fix_mistral_regex": true], configuration).tokenizer()
        // Each digit is a word of its own under Mistral's pattern.
        #expect(try fixed.encode("12") == (applies ? [49, 50] : [256]))
        #expect(fixed.sha256?.hasSuffix("+fix_mistral_regex") == applies)
    }

    @Test func mistralsPatternTakesTheFirstStepsPlace() throws {
        let digits: JSON = ["type": "Split", "pattern": ["Regex": "[0-9]+|[^0-9]+"], "behavior": "Isolated"]
        let configuration: JSON = ["model_type": "mistral"]
        var plain = Self.bytes
        plain["use_regex"] = false
        let sequence: JSON = ["type": "Sequence", "pretokenizers": [digits, plain]]
        let fixed = try files(large(sequence), ["fix_mistral_regex": true], configuration).tokenizer()
        #expect(try fixed.encode("12") == [49, 50])
        let left = try files(large(sequence), ["fix_mistral_regex": false], configuration).tokenizer()
        #expect(try left.encode("12") == [256])
        // Without a pre-tokenizer nothing is mended.
        let none = try files(large(nil), ["fix_mistral_regex": true], configuration).tokenizer()
        #expect(none.sha256?.hasSuffix("regex") == false)
        var small = Self.characters
        small["pre_tokenizer"] = Self.bytes
        let other = try files(small, ["fix_mistral_regex": true], configuration).tokenizer()
        #expect(other.sha256?.hasSuffix("regex") == false)
    }
}
