import Formats
import Foundation
import Models
import OrderedCollections
import Testing

@testable import Trainer

/// Texts that go on a token at a time, beside transformers and beside whole passes.
@Suite struct CachedTransformerTests {
    /// What transformers generates of a golden, greedily and with its cache: `Fixtures/generation.json`.
    struct Reference: Decodable {
        var models: [String: [Prompt]]

        struct Prompt: Decodable {
            var prompt: [Int32]
            var tokens: [Int32]
            var margin: Float
            var lastLogits: [Float]

            enum CodingKeys: String, CodingKey {
                case prompt, tokens, margin
                case lastLogits = "last_logits"
            }
        }

        static func read() throws -> Reference {
            try JSONDecoder().decode(
                Reference.self, from: Data(contentsOf: URL(filePath: fixture("generation.json"))))
        }
    }

    private func cached(
        _ golden: GoldenModel, sequences: Int, length: Int = 40, threads: Int = 2
    ) throws -> CachedTransformer<CPUEngine> {
        let model = try golden.pretrained()
        let transformer = try CachedTransformer(
            model.architecture, layout: model.layout(training: .none), sequences: sequences, length: length,
            on: CPUEngine(threads: threads))
        try model.load(into: transformer.model)
        return transformer
    }

    private func largest(_ logits: [Float]) -> Int32 {
        Int32(logits.indices.max { logits[$0] < logits[$1] } ?? 0)
    }

    @Test func everyGoldenHasAReference() throws {
        let models = try Reference.read().models
        #expect(Set(models.keys) == Set(GoldenModel.all.map(\.name)))
        #expect(models.values.allSatisfy { $0.allSatisfy { $0.margin > 2e-3 } && $0.count == 3 })
        // Longer than the goldens' windows, of five tokens, and most of them as long as was asked for.
        #expect(models.values.count { $0.allSatisfy { $0.tokens.count == 20 } } > 40)
    }

    /// Token for token, three prompts of different lengths at once, and the last logits.
    @Test(arguments: GoldenModel.all) func greedyEqualsTransformers(_ golden: GoldenModel) throws {
        let prompts = try #require(try Reference.read().models[golden.name])
        let transformer = try cached(golden, sequences: prompts.count)
        var found: [[Int32]] = []
        var last: [[Float]] = []
        for (sequence, prompt) in prompts.enumerated() {
            let logits = try transformer.begin(sequence, with: prompt.prompt)
            found.append([largest(logits)])
            last.append(logits)
        }
        while true {
            let going = prompts.indices.filter { found[$0].count < prompts[$0].tokens.count }
            if going.isEmpty { break }
            let logits = try transformer.step(going.map { ($0, found[$0].last ?? 0) })
            for (sequence, logits) in zip(going, logits) {
                found[sequence].append(largest(logits))
                last[sequence] = logits
            }
        }
        for (sequence, prompt) in prompts.enumerated() {
            #expect(found[sequence] == prompt.tokens)
            #expect(largestDifference(last[sequence], prompt.lastLogits) < 2e-4)
        }
    }

    /// Beside a pass over all tokens so far, and beside PyTorch's pass over the row.
    ///
    /// "Dynamic" frequencies change with each token beyond the twelfth, and what is kept does not.
    @Test(arguments: GoldenModel.all) func cachedLogitsEqualTheFullForward(_ golden: GoldenModel) throws {
        let rows = try golden.rows()
        let batch = rows.rows(0..<rows.count)
        let length = golden.name == "llama-dynamic" ? 12 : rows.length
        let (stepped, whole) = (try cached(golden, sequences: 2), try cached(golden, sequences: 1))
        let architecture = try golden.pretrained().architecture
        let dependsOnLength = architecture.layers.contains {
            $0.attention.rotary?.dependsOnLength ?? false
        }
        let reference = try #require(golden.reference()["logits"]).floats()
        let size = architecture.vocabularySize
        func tokens(_ row: Int, _ range: Range<Int>) -> [Int32] {
            let start = row * rows.length
            return Array(batch.tokens[start + range.lowerBound..<start + range.upperBound])
        }
        for row in 0..<2 { _ = try stepped.begin(row, with: tokens(row, 0..<2 + row)) }
        // The sequences are at different positions in every step.
        for position in 2..<length - 1 {
            let logits = try stepped.step(
                [0, 1].map { ($0, tokens($0, position + $0..<position + $0 + 1)[0]) })
            for row in 0..<2 {
                let end = position + row + 1
                let all = try whole.begin(0, with: tokens(row, 0..<end))
                #expect(largestDifference(logits[row], all) < 1e-4, "row \(row), \(end) tokens")
                guard !dependsOnLength else { continue }
                let start = (row * rows.length + end - 1) * size
                #expect(largestDifference(logits[row], Array(reference[start..<start + size])) < 2e-4)
            }
        }
    }

    /// The same bits with any number of threads, and beside any other sequences.
    @Test(arguments: ["llama", "gemma2", "gpt-oss", "bloom"].map(GoldenModel.init))
    func nothingElseMatters(_ golden: GoldenModel) throws {
        let prompt: [Int32] = [5, 9, 33, 2, 7]
        var results: [[[Float]]] = []
        for (threads, others) in [(1, 0), (3, 0), (2, 6)] {
            let transformer = try cached(golden, sequences: 1 + others, threads: threads)
            for other in 0..<others {
                _ = try transformer.begin(other, with: [Int32](repeating: Int32(other + 3), count: other + 1))
            }
            var logits = [try transformer.begin(others, with: prompt)]
            for token: Int32 in [8, 1, 40] {
                let next = (0..<others).map { ($0, Int32($0 + 1)) } + [(others, token)]
                logits.append(try transformer.step(next)[others])
            }
            results.append(logits)
        }
        #expect(results[0] == results[1] && results[0] == results[2])
    }
}
