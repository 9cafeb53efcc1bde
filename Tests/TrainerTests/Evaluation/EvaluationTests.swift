import Formats
import Foundation
import TestSupport
import Testing

@testable import Trainer

/// Bits per byte beside windows that are evaluated one by one, as lm-evaluation-harness does.
@Suite struct EvaluationTests {
    /// A model with random weights, and what it makes of rows of tokens.
    private struct Model {
        let pretrained: PretrainedModel
        let tokenizer: Tokenizer
        let engine: DefaultEngine

        init(in folder: TemporaryFolder) throws {
            try blankModel(in: folder)
            pretrained = try .blank(folder.path)
            tokenizer = try pretrained.tokenizer()
            engine = try DefaultEngine(threads: 2)
        }

        func transformer(batch: Int, length: Int) throws -> Transformer<DefaultEngine> {
            let layout = pretrained.layout
            let model = try Transformer(
                pretrained.architecture, layout: layout,
                plan: ActivationPlan(
                    pretrained.architecture, layout: layout, batch: batch, sequenceLength: length), on: engine
            )
            model.initialize(deviation: 0.3, seed: 5)
            return model
        }
    }

    /// The same by hand: a row for each window, alone; nats of the text, and each end's.
    private func reference(
        _ texts: [String], _ model: Model, length: Int, end: Int32?
    ) throws -> (nats: Double, ends: [Double]) {
        var (nats, ends) = (0.0, [Double]())
        for text in texts {
            let ids = try model.tokenizer.encode(text, addSpecialTokens: false) + (end.map { [$0] } ?? [])
            let full = [1] + ids
            var done = 0
            while done < ids.count {
                let to = min(done + length, ids.count)
                let begin = max(0, to - length)
                let transformer = try model.transformer(batch: 1, length: to - begin)
                var targets = Array(full[begin + 1...to])
                for index in 0..<done - begin { targets[index] = -1 }
                let losses = transformer.losses(
                    of: TokenBatch(
                        batch: 1, sequenceLength: to - begin, tokens: Array(full[begin..<to]),
                        targets: targets))
                nats += losses.reduce(0) { $0 + Double($1) }
                if end != nil, to == ids.count {
                    ends.append(Double(losses[losses.count - 1]))
                    nats -= ends[ends.count - 1]
                }
                done = to
            }
        }
        return (nats, ends)
    }

    /// Logits don't take the place of the rows that they are of, nor of the model.
    @Test func logitsReplaceNothingThatIsRead() throws {
        let folder = try TemporaryFolder()
        let model = try folder.copy(of: GoldenModel(name: "llama").folder, as: "llama")
        let rows = folder.path("llama/golden.safetensors")
        try #require(unsafe symlink(rows, folder.path("link")) == 0)
        for path in [rows, folder.path("link"), folder.path("llama/config.json")] {
            let request = EvaluationRequest(model: model, rows: rows, logits: path, threads: 1)
            #expect(throws: UserFacingError.outputIsSource(path: path)) { try request.run() }
        }
    }

    @Test(arguments: [(1, 12), (3, 24), (2, 64)], [EndOfText.ofModel, .nothing])
    func countsEveryTokenOnceInItsOwnDocument(_ shape: (batch: Int, length: Int), endOfText: EndOfText) throws
    {
        let folder = try TemporaryFolder()
        let model = try Model(in: folder)
        let texts = [
            "The sheet has cells.", "a", "", String(repeating: "Rows and columns, ", count: 20), "표의 행",
            "One window, to its end: " + String(repeating: "x", count: 11),
        ]
        let lines = texts.map { #"{"text": "\#($0)"}"# }.joined(separator: "\n")
        let path = try folder.write("texts.jsonl", lines)
        let sets = try EvaluationSet.read([("texts", path)], for: model.pretrained, endOfText: endOfText)
        let result = try sets[0].evaluate(model.transformer(batch: shape.batch, length: shape.length))
        let end: Int32? = endOfText == .ofModel ? 2 : nil
        let (nats, ends) = try reference(texts, model, length: shape.length, end: end)
        let bytes = texts.reduce(0) { $0 + $1.utf8.count }
        #expect(result.bytes == bytes)
        #expect(abs(try #require(result.bitsPerByte) - nats / log(2) / Double(bytes)) < 1e-5)
        let tokens = try texts.reduce(0) {
            $0 + (try model.tokenizer.encode($1, addSpecialTokens: false).count)
        }
        #expect(result.tokens == tokens)
        guard end != nil else {
            #expect(result.endOfText == nil)
            return
        }
        let found = try #require(result.endOfText)
        #expect(found.documents == texts.count)
        #expect(abs(found.loss - ends.reduce(0, +) / Double(ends.count)) < 1e-5)
        let probability = ends.reduce(0) { $0 + exp(-$1) } / Double(ends.count)
        #expect(abs(found.probability - probability) < 1e-6)
    }

    /// The loss of a step is its own, also where a set was evaluated before it.
    @Test func evaluationsLeaveNoLossBehind() throws {
        let golden = GoldenModel(name: "llama")
        let rows = try golden.rows()
        let model = try golden.pretrained().transformer(
            for: rows, Recomputation.none, on: CPUEngine(threads: 1))
        let batch = rows.rows(0..<rows.count)
        let loss = model.loss(batch)
        model.backward(batch, scale: 1, accumulate: false)
        #expect(abs(model.takeLoss(targets: 1) - loss) < 1e-6 * loss)
    }

    /// Without a start and an end one token alone has nothing before it and nothing behind.
    @Test func oneTokenAloneIsNothingToPredict() throws {
        let folder = try TemporaryFolder()
        let model = try Model(in: folder)
        let path = try folder.write("one.jsonl", #"{"text": "a"}"#)
        let layout = try DocumentLayout(start: nil, end: nil, tokenizer: model.tokenizer)
        func set(_ path: String, _ layout: DocumentLayout) throws -> EvaluationSet {
            try EvaluationSet(
                name: "one", path: path, tokenizer: model.tokenizer, layout: layout, vocabularySize: 1_024)
        }
        #expect(throws: UserFacingError.nothingToPredict(path: path)) { try set(path, layout) }
        let started = try DocumentLayout(start: 1, end: nil, tokenizer: model.tokenizer)
        #expect(try set(path, started).evaluate(model.transformer(batch: 1, length: 8)).tokens == 1)
        let two = try folder.write("two.jsonl", #"{"text": "a b c d"}"#)
        let count = try model.tokenizer.encode("a b c d", addSpecialTokens: false).count
        #expect(try set(two, layout).evaluate(model.transformer(batch: 1, length: 8)).tokens == count - 1)
    }
}
