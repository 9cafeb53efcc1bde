import Formats
import OrderedCollections
import TestSupport
import Testing

@testable import Surgery

@Suite("Resizing a vocabulary")
struct VocabularyResizeTests {
    private static let tokenizer = """
        {"version": "1.0", "added_tokens": [{"id": 4, "content": "<end>", "special": true}], "pre_tokenizer": null,
         "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "<end>": 4}, "merges": ["a b"]}}
        """
    private static let other = """
        {"version": "1.0", "added_tokens": [{"id": 0, "content": "<end>", "special": true}], "pre_tokenizer": null,
         "model": {"type": "BPE", "vocab": {"<end>": 0, "b": 1, "a": 2, "c": 3, "ba": 4, "bac": 5},
                   "merges": ["b a", "ba c"]}}
        """
    private let abc = VocabularyExtension(
        tokens: [.init(id: 5, spelling: "abc"), .init(id: 6, spelling: "abca")],
        merges: [.init(left: "ab", right: "c"), .init(left: "abc", right: "a")])

    /// A model with 5 rows and `padding` more, whose numbers tell their row and tensor.
    private func model(padding: Int = 0, tied: Bool = false, settings: String = "") throws -> Checkpoint {
        let rows = 5 + padding
        var tensors: OrderedDictionary<String, TensorExpression> = [:]
        let names = ["model.embed_tokens.weight", "lm_head.weight", "lm_head.bias", "model.norm.weight"]
        for (index, name) in names.enumerated() where !(tied && index > 0 && index < 3) {
            let shape = index == 3 ? [2] : index == 2 ? [rows] : [rows, 2]
            let floats = (0..<shape.reduce(1, *)).map { Float(index * 100 + $0 * $0) }
            tensors[name] = try .stored(MemoryTensor(name: name, shape: shape, floats: floats))
        }
        let text = """
            {"model_type": "llama", "vocab_size": \(rows), "eos_token_id": 4, "tie_word_embeddings": \(tied)\(settings)}
            """
        return Checkpoint(
            path: "model", tensors: tensors, configuration: try MemoryModels.configuration(text),
            auxiliaryFiles: [
                AuxiliaryFile(name: "tokenizer.json", content: .bytes(Array(Self.tokenizer.utf8))),
                AuxiliaryFile(
                    name: "generation_config.json", content: .bytes(Array(#"{"eos_token_id": [4]}"#.utf8))),
                AuxiliaryFile(name: "README.md", content: .bytes([])),
            ])
    }

    private func floats(_ result: ResizedCheckpoint, _ name: String) throws -> [Float] {
        try #require(result.checkpoint[name]).floats()
    }

    @Test func newTokensGetTheirPiecesMean() throws {
        let source = try model()
        let result = try source.vocabularyResized(VocabularyResize(.extended(abc)))
        for (name, width) in [("model.embed_tokens.weight", 2), ("lm_head.weight", 2), ("lm_head.bias", 1)] {
            let old = try #require(source[name]).floats()
            let new = try floats(result, name)
            #expect(new.count == 7 * width)
            #expect(Array(new.prefix(old.count)) == old)
            // "abc" is "ab", "c" to the old tokenizer; "abca" is "ab", "c", "a".
            func row(_ id: Int) -> [Double] { old[id * width..<(id + 1) * width].map(Double.init) }
            let abc = zip(row(3), row(2)).map { Float($0 * Double(Float(1) / 2) + $1 * Double(Float(1) / 2)) }
            #expect(Array(new[5 * width..<6 * width]) == abc)
            let third = Double(Float(1) / 3)
            let abca = (0..<width).map { Float(row(3)[$0] * third + row(2)[$0] * third + row(0)[$0] * third) }
            #expect(Array(new[6 * width..<7 * width]) == abca)
        }
        #expect(try floats(result, "model.norm.weight") == [300, 301])
        #expect(result.checkpoint.configuration?["vocab_size"] == 7)
        #expect(result.changes.map(\.description) == ["vocab_size: 5 → 7"])
        #expect(result.reached == (2, 0) && result.tokens.map { [$0.before, $0.after] } == [5, 7])
        #expect(result.origins == RowOrigins(kept: 5, initialized: 2, padding: 0, dropped: 0))
        let tokenizer = try TokenizerFiles(of: result.checkpoint.auxiliaryFiles, path: "").tokenizer()
        #expect(try tokenizer.encode("abcaab<end>", addSpecialTokens: false) == [6, 3, 4])
        #expect(
            result.checkpoint.auxiliaryFiles.map(\.name) == [
                "tokenizer.json", "generation_config.json", "README.md",
            ])
        #expect(result.checkpoint.operations.map(\.name) == ["resize-vocab"])
        #expect(result.checkpoint.operations[0].facts["new_rows"] == [[5, 7]])
    }

    /// The first new row by method; the old ones are (0, 1), (4, 9), (16, 25), (36, 49) and (64, 81).
    private static let beginnings: [(String, [Double])] = [
        ("zero", [0, 0]), ("subword-first", [36, 49]), ("subword-last", [16, 25]),
        ("subword-weighted", [29.333333, 41]), ("subword-characters", [29.333333, 41]), ("bil", [26, 37]),
        ("mean", [24, 33]),
    ]

    @Test(arguments: beginnings)
    func begins(_ name: String, _ expected: [Double]) throws {
        let pair = try #require(InitializationPair(name: name))
        let request = VocabularyResize(.extended(abc), input: pair.input, output: pair.output)
        let new = try floats(try model().vocabularyResized(request), "model.embed_tokens.weight")
        for (found, wanted) in zip(new[10..<12], expected) { #expect(abs(Double(found) - wanted) < 1e-5) }
    }

    /// A character that pieces divide counts to each by its bytes.
    @Test func piecesHaveShares() {
        func characters(_ text: String, _ sizes: [Int]) -> [Float] {
            var rest = Array(text.utf8)[...]
            let parts = sizes.map { size in
                defer { rest = rest.dropFirst(size) }
                return (id: Int32(0), bytes: Array(rest.prefix(size)))
            }
            return RowPlan.pieces(parts).map { ($0.characters * 1_000).rounded() / 1_000 }
        }
        #expect(characters("a하é", [1, 3, 2]) == [1, 1, 1])
        #expect(characters("하늘", [1, 1, 4]) == [0.333, 0.333, 1.333])
        #expect(characters("é🙂", [1, 2, 3]) == [0.5, 0.75, 0.75])
        // Bytes without their character's beginning.
        #expect(
            RowPlan.pieces([(0, [0x80]), (0, [0x80, 0x61]), (0, [])]).map { ($0.characters * 3).rounded() }
                == [1, 4, 3])
    }

    /// What a probe would find.
    private struct FixedProbe: InitializationProbe {
        let after: [String: Double]
        func check(_ change: VocabularyChange) throws(UserFacingError) {}
        func table(
            of candidates: [InitializationCandidate], for change: VocabularyChange,
            _ context: OperationContext
        ) throws(UserFacingError) -> InitializationTable? {
            if after.isEmpty { return nil }
            let rows = candidates.map {
                InitializationTable.Row(name: $0.pair.name, before: 9, after: after[$0.pair.name] ?? .nan)
            }
            return InitializationTable(
                rows: rows, steps: 1, tokens: 2, documents: 3, heldBackTokens: 4, bytes: 5, texts: ["a"])
        }
    }

    /// The model after `--init auto` with tokens of a file, where a probe finds this.
    private func probed(_ after: [String: Double], tied: Bool = false) throws -> Outcome {
        let folder = try TemporaryFolder()
        var change = VocabularyChange()
        (change.tokens, change.initialization) = (try folder.write("tokens.txt", "abc\n"), "auto")
        return try model(tied: tied).applying(change, OperationContext(probe: FixedProbe(after: after)))
    }

    @Test(arguments: [
        (["subword-mean": 2, "bil": 2, "eeve": 1, "mean-cov": 3], "eeve", [26.0, 37], 36.0),
        // Of equals the first; what is no number loses.
        (["bil": 2, "eeve": 2], "bil", [26, 37], 29.333333),
    ])
    func theBestOfAProbeIsTaken(
        _ after: [String: Double], _ name: String, _ input: [Double], _ output: Double
    ) throws {
        let outcome = try probed(after)
        let tensors = outcome.checkpoint.tensors
        let new = try #require(tensors["model.embed_tokens.weight"]).floats()[10..<12]
        for (found, wanted) in zip(new, input) { #expect(abs(Double(found) - wanted) < 1e-5) }
        // The head's rows are of 100 + n².
        let head = try #require(tensors["lm_head.weight"]).floats()[10]
        #expect(abs(Double(head) - 100 - output) < 1e-4)
        #expect(outcome.facts["init_probe"]?["chosen"]?.string == name)
        #expect(outcome.checkpoint.operations.map(\.name) == ["resize-vocab"])
        #expect(
            outcome.facts["init_probe"]?["methods"]?[3]?["bits_per_byte_after"]
                == (after["mean-cov"].map { JSON($0) } ?? .null))
    }

    @Test func tiedRowsAreTriedInOneWayForBothEnds() throws {
        let outcome = try probed(["subword-characters": 1], tied: true)
        let methods = try #require(outcome.facts["init_probe"]?["methods"]?.array)
        #expect(
            methods.compactMap { $0["init"]?.string } == ["subword-mean", "subword-characters", "mean-cov"])
        #expect(outcome.facts["init"] == "subword-characters")
    }

    @Test func aProbeWithoutFindings() throws {
        // In a dry run it does not know yet.
        #expect(try probed([:]).facts["init"] == "auto")
        let error = #expect(throws: UserFacingError.self) { try probed(["other": 1]) }
        #expect(error?.kind == .diverged)
    }

    @Test func rowsWithoutATokenStayAndAreTakenFirst() throws {
        let source = try model(padding: 3)
        let result = try source.vocabularyResized(VocabularyResize(.extended(abc), multiple: 6))
        let (old, new) = (
            try #require(source["lm_head.bias"]).floats(), try floats(result, "lm_head.bias")
        )
        #expect(new.count == 12 && Array(new[..<5]) == Array(old[..<5]) && new[7] == old[7])
        #expect(new[5] != old[5] && new[6] != old[6])
        #expect(result.origins == RowOrigins(kept: 5, initialized: 2, padding: 5, dropped: 2))
        let dropped = try source.vocabularyResized(VocabularyResize(.extended(abc), dropsPadding: true))
        #expect(dropped.rows == (8, 7))
    }

    @Test func tiedEmbeddingsStayOne() throws {
        let source = try model(tied: true)
        let result = try source.vocabularyResized(VocabularyResize(.extended(abc)))
        #expect(result.checkpoint.names == ["model.embed_tokens.weight", "model.norm.weight"])
        #expect(throws: UserFacingError.tiedHead(path: "model")) {
            _ = try source.vocabularyResized(
                VocabularyResize(.extended(abc), input: .subwordMean, output: .subwordFirst))
        }
    }

    @Test func anotherTokenizerTakesRowsByTheirText() throws {
        let files = TokenizerFiles(
            of: [
                AuxiliaryFile(name: "tokenizer.json", content: .bytes(Array(Self.other.utf8))),
                AuxiliaryFile(
                    name: "tokenizer_config.json", content: .bytes(Array(#"{"eos_token": "<end>"}"#.utf8))),
            ], path: "other")
        let source = try model()
        let result = try source.vocabularyResized(VocabularyResize(.replaced(by: files, keepsOld: false)))
        let old = try #require(source["lm_head.bias"]).floats()
        let new = try floats(result, "lm_head.bias")
        #expect(Array(new[..<4]) == [old[4], old[1], old[0], old[2]])
        #expect(new[4] == (old[1] + old[0]) / 2)
        #expect(result.origins == RowOrigins(kept: 4, initialized: 2, padding: 0, dropped: 1))
        #expect(result.checkpoint.configuration?["eos_token_id"] == 0)
        let auxiliaryFiles = result.checkpoint.auxiliaryFiles
        #expect(
            auxiliaryFiles.map(\.name).sorted() == [
                "README.md", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
            ])
        let generation = try #require(auxiliaryFiles.first { $0.name == "generation_config.json" })
        #expect(try String(decoding: generation.bytes(), as: UTF8.self).contains("0"))
        let kept = try source.vocabularyResized(VocabularyResize(.replaced(by: files, keepsOld: true)))
        #expect(try floats(kept, "lm_head.bias").last == old[3])
        #expect(kept.tokens.map { [$0.before, $0.after] } == [5, 7])
    }

    @Test func sizeAloneDrawsRows() throws {
        let pair = InitializationPair.transformers
        let source = try model()
        let result = try source.vocabularyResized(
            VocabularyResize(.rows(9), input: pair.input, output: pair.output, seed: 3))
        let (old, new) = (
            try #require(source["lm_head.weight"]).floats(), try floats(result, "lm_head.weight")
        )
        #expect(Array(new.prefix(10)) == old && new.count == 18)
        #expect(Set(new.suffix(8)).count == 8)
        #expect(result.origins.padding == 4)
        #expect(throws: UserFacingError.fewerRowsThanTokens(path: "model", asked: 4, tokens: 5)) {
            _ = try source.vocabularyResized(VocabularyResize(.rows(4), input: .mean))
        }
        #expect(throws: UserFacingError.noTextForRows(method: "subword-mean")) {
            _ = try source.vocabularyResized(VocabularyResize(.rows(9)))
        }
    }

    @Test func refusesWhatDoesNotFitTogether() throws {
        var source = try model()
        source["lm_head.weight"] = try source["lm_head.weight"]?.rows(0..<4)
        let error = try #require(throws: UserFacingError.self) {
            _ = try source.vocabularyResized(VocabularyResize(.extended(abc)))
        }
        #expect("\(error)".contains("lm_head.weight has 4 rows, but model.embed_tokens.weight has 5"))
        var small = try model()
        for name in ["model.embed_tokens.weight", "lm_head.weight", "lm_head.bias"] {
            small[name] = try small[name]?.rows(0..<3)
        }
        #expect(throws: UserFacingError.beyondRows(path: "model", tokens: 4, rows: 3)) {
            _ = try small.vocabularyResized(VocabularyResize(.extended(abc)))
        }
        let unreachable = VocabularyExtension(tokens: [.init(id: 5, spelling: "cab")])
        let reach = try #require(throws: UserFacingError.self) {
            _ = try model().vocabularyResized(VocabularyResize(.extended(unreachable)))
        }
        #expect("\(reach)".contains("\"cab\" (id 5), typed alone, is encoded as [2, 3]"))
        #expect(throws: UserFacingError.self) {
            _ = try MemoryModels.layers(2).vocabularyResized(VocabularyResize(.rows(9), input: .mean))
        }
    }
}
