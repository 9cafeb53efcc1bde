import Formats
import Foundation
import Models
import TestSupport
import Testing

@testable import Trainer

/// Files of rows: what is there, what is to be predicted, and what nobody knows.
@Suite struct TokenDatasetTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A file of tensors of whole numbers, (rows, tokens), and of other tensors by name, of one number each.
    private func file(_ tensors: [(String, [[Int64]])], others: [String] = []) throws -> String {
        var members: [String] = []
        var data: [UInt8] = []
        func add(_ name: String, _ type: String, _ shape: [Int], _ bytes: [UInt8]) {
            let range = "[\(data.count), \(data.count + bytes.count)]"
            members.append(
                #""\#(name)": {"dtype": "\#(type)", "shape": \#(shape), "data_offsets": \#(range)}"#)
            data += bytes
        }
        for (name, rows) in tensors {
            let bytes = rows.joined().flatMap { value in
                (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
            }
            add(name, "I64", [rows.count, rows[0].count], bytes)
        }
        for name in others { add(name, "F32", [1], [0, 0, 0, 0]) }
        let header = Array("{\(members.joined(separator: ", "))}".utf8)
        let size = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
        return try folder.write("rows.safetensors", size + header + data)
    }

    private static let texts: [[Int64]] = [[5, 9, 2, 31, 8, 4], [7, 3, 11], [12, 40, 1, 6]]

    /// The summed loss and the number of targets of texts of their own, none padded.
    private func plain(_ model: PretrainedModel) throws -> EvaluationResult {
        var (sum, tokens) = (0.0, 0)
        for text in Self.texts {
            let result = try evaluate(model, file([("input_ids", [text])]))
            sum += result.loss * Double(result.tokens)
            tokens += result.tokens
        }
        return EvaluationResult(sum: sum, tokens: tokens, bytes: nil)
    }

    private func evaluate(_ model: PretrainedModel, _ path: String) throws -> EvaluationResult {
        let rows = try TokenDataset(path: path, vocabularySize: model.architecture.vocabularySize)
        let layout = try model.layout(training: .none)
        let transformer = try Transformer(
            model.architecture, layout: layout,
            plan: ActivationPlan(model.architecture, layout: layout, batch: 1, sequenceLength: rows.length),
            on: CPUEngine(threads: 1))
        try model.load(into: transformer)
        return try rows.evaluate(transformer)
    }

    /// Rows filled up to eight tokens with the token 2, behind their texts or before them.
    private func padded(inFront: Bool) -> (ids: [[Int64]], mask: [[Int64]], labels: [[Int64]]) {
        func fill(_ text: [Int64], with value: Int64) -> [Int64] {
            let rest = [Int64](repeating: value, count: 8 - text.count)
            return inFront ? rest + text : text + rest
        }
        return (
            Self.texts.map { fill($0, with: 2) }, Self.texts.map { fill($0.map { _ in 1 }, with: 0) },
            Self.texts.map { fill($0, with: -100) }
        )
    }

    /// Padding changes nothing, wherever it is; a learned position counts it, so it is behind the text there.
    @Test(arguments: [
        ("llama", false), ("llama", true), ("gpt2", false), ("bloom", true), ("falcon-alibi", true),
        ("mistral", true), ("gemma2", false),
    ])
    func paddingIsNeitherSeenNorPredicted(_ name: String, inFront: Bool) throws {
        let model = try GoldenModel(name: name).pretrained()
        let expected = try plain(model)
        let rows = padded(inFront: inFront)
        for labels in [nil, rows.labels] {
            let path = try file(
                [("input_ids", rows.ids), ("attention_mask", rows.mask)]
                    + (labels.map { [("labels", $0)] } ?? []))
            let result = try evaluate(model, path)
            #expect(result.tokens == expected.tokens && result.tokens == 10)
            #expect(abs(result.loss - expected.loss) < 1e-5)
        }
    }

    /// transformers counts positions from the row's start, whatever the mask says.
    @Test func positionsCountFromTheRowsStart() throws {
        let rows = padded(inFront: true)
        let path = try file([("input_ids", rows.ids), ("attention_mask", rows.mask)])
        let batch = try TokenDataset(path: path, vocabularySize: 50).rows(1..<2)
        #expect(batch.positions == Array(0..<8) && batch.attentionStart == [0, 1, 2, 3, 4, 5, 5, 5])
        #expect(batch.targets == [-1, -1, -1, -1, -1, 3, 11, -1])
        #expect(batch.documents == [DocumentReference(path: path, number: 2)])
    }

    /// A stage goes on with the row that is next, and its end counts from there.
    @Test func aStageGoesOnWithTheNextRow() throws {
        let path = try file([("input_ids", [[5, 9], [6, 9], [7, 9]])])
        var first = try TokenDataset(path: path, vocabularySize: 50)
        _ = first.next(2)
        var second = try TokenDataset(path: path, vocabularySize: 50, extent: .tokens(8))
        let planned = second.progress(after: 0, from: first.sources)
        try second.begin(at: first.position)
        #expect(second.next(1).tokens == [7, 9])
        var resumed = try TokenDataset(path: path, vocabularySize: 50, extent: .tokens(8))
        try resumed.move(to: second.position)
        #expect(resumed.next(3) == second.next(3))
        #expect(second.sources == planned && resumed.position == second.position)
        #expect(second.sources[0].passes == 2 && second.next(1).targetCount == 0)
        for bad in [[], [-1], [7]] {
            var position = second.position
            position.begun = bad
            #expect(throws: UserFacingError.badPosition(path: path)) { try resumed.move(to: position) }
        }
    }

    @Test func labelsSayWhatIsPredicted() throws {
        let path = try file([("input_ids", [[5, 9, 2, 31]]), ("labels", [[8, -100, 7, 6]])])
        #expect(try TokenDataset(path: path, vocabularySize: 50).rows(0..<1).targets == [-1, 7, 6, -1])
        let none = try file([("input_ids", [[5, 9]]), ("labels", [[5, -100]])])
        #expect(throws: UserFacingError.noRowToPredict(path: none)) {
            try TokenDataset(path: none, vocabularySize: 50)
        }
        // Behind the text the end may be asked for, which is predicted from the text.
        let end = try file([
            ("input_ids", [[5, 9, 2, 2]]), ("attention_mask", [[1, 1, 0, 0]]), ("labels", [[5, 9, 2, -100]]),
        ])
        #expect(try TokenDataset(path: end, vocabularySize: 50).rows(0..<1).targets == [9, 2, -1, -1])
    }

    @Test func resultsOfAReferenceArePassedOver() throws {
        let path = try file(
            [("input_ids", [[5, 9, 2]])], others: ["logits", "loss", "grad.model.norm.weight"])
        #expect(try TokenDataset(path: path, vocabularySize: 50).rows(0..<1).targets == [9, 2, -1])
    }

    @Test(arguments: ["position_ids", "token_type_ids", "loss_mask", "Labels", "gradient"])
    func otherTensorsAreRefusedByName(_ name: String) throws {
        let path = try file([("input_ids", [[5, 9, 2]])], others: [name])
        #expect(throws: UserFacingError.unknownRows(path: path, tensor: name)) {
            try TokenDataset(path: path, vocabularySize: 50)
        }
    }

    @Test(
        arguments: [
            ([[1, 0, 1]], [[5, 9, 2]], "row 0 of 'attention_mask'"), ([[1, 2, 1]], [[5, 9, 2]], "row 0"),
            ([[1, 1, 1, 1]], [[5, 9, 2]], "'attention_mask' I64[1, 4]"),
            ([[1, 1, 1]], [[5, 50, 2]], "'labels' has 50"),
            ([[1, 1, 1]], [[5, -1, 2]], "'labels' has -1"), ([[1, 0, 0]], [[5, 9, 2]], "token 2 of row 0"),
        ] as [([[Int64]], [[Int64]], String)])
    func contradictionsAreRefused(_ mask: [[Int64]], labels: [[Int64]], words: String) throws {
        let path = try file([("input_ids", [[5, 9, 2]]), ("attention_mask", mask), ("labels", labels)])
        let error = #expect(throws: UserFacingError.self) { try TokenDataset(path: path, vocabularySize: 50) }
        #expect(
            error?.fault == .input
                && error?.message.replacing(" ", with: "").contains(words.replacing(" ", with: "")) == true,
            "\(error?.message ?? "")")
    }
}
