import Formats
import Models
import TestSupport
import Testing

@testable import Trainer

/// That neither packing nor how a step is split changes what is learned.
@Suite struct PackedLossTests {
    /// What of a batch sees itself only, in its order: documents, or what a sequence has of one.
    private func segments(of batch: TokenBatch) -> [Range<Int>] {
        let starts = batch.tokens.indices.filter { index in
            Int(batch.attentionStart[index]) == index % batch.sequenceLength
        }
        return zip(starts, starts.dropFirst() + [batch.tokens.count]).map { $0..<$1 }
    }

    /// Every token's loss in a batch is that in its own document alone.
    private func expectLossesOfDocumentsAlone(_ batch: TokenBatch, _ model: PretrainedModel) throws {
        let engine = try CPUEngine(threads: 2)
        let layout = try model.layout(training: .none)
        func transformer(
            _ batch: Int, _ length: Int, sharing other: Transformer<CPUEngine>? = nil
        ) throws -> Transformer<CPUEngine> {
            let plan = ActivationPlan(
                model.architecture, layout: layout, batch: batch, sequenceLength: length)
            return try Transformer(
                model.architecture, layout: layout, plan: plan, on: engine, sharing: other)
        }
        let whole = try transformer(batch.batch, batch.sequenceLength)
        try model.load(into: whole)
        let packed = whole.losses(of: batch)
        var sums = (packed: 0.0, alone: 0.0)
        for segment in segments(of: batch) where batch.targets[segment].contains(where: { $0 >= 0 }) {
            let alone = try transformer(1, segment.count, sharing: whole).losses(
                of: TokenBatch(
                    batch: 1, sequenceLength: segment.count, tokens: Array(batch.tokens[segment]),
                    targets: Array(batch.targets[segment])))
            for (one, other) in zip(packed[segment], alone) {
                #expect(abs(one - other) <= 1e-5 * max(1, other))
                sums.packed += Double(one)
                sums.alone += Double(other)
            }
        }
        #expect(sums.alone > 0 && abs(sums.packed - sums.alone) <= 1e-5 * sums.alone)
        #expect(abs(whole.loss(batch) - sums.packed) <= 1e-5 * sums.packed)
    }

    /// Of every family, with all kinds of positions and windows: four documents in a sequence, and one that is longer.
    @Test(arguments: GoldenModel.all) func packedLossIsTheDocumentsOwn(_ golden: GoldenModel) throws {
        let model = try golden.pretrained()
        let rows = try golden.rows()
        let length = rows.length
        // Angles that depend on the longest document of a batch are the same where all are as long.
        let dependOnLength = model.architecture.layers.contains {
            $0.attention.rotary?.dependsOnLength == true
        }
        let part = length / 4
        let cuts = dependOnLength ? [0, part, 2 * part, 3 * part] : [0, 1, 6, length / 2]
        var batch = TokenBatch(batch: 0, sequenceLength: length, tokens: [], targets: [])
        for starts in dependOnLength ? [cuts] : [cuts, [0]] {
            let tokens = rows.rows(batch.batch..<batch.batch + 1).tokens
            var targets = Array(tokens.dropFirst()) + [Int32(-1)]
            var visible = [Int32](repeating: 0, count: length)
            for start in starts where start > 0 {
                targets[start - 1] = -1
                for place in start..<length { visible[place] = Int32(start) }
            }
            batch.append(tokens, targets: targets, attentionStart: visible)
        }
        try expectLossesOfDocumentsAlone(batch, model)
    }

    /// The same of texts as a run packs them, the last sequence filled up.
    @Test func aMixturesLossIsTheDocumentsOwn() throws {
        let model = try PretrainedModel.open(example("base"))
        let tokenizer = try model.tokenizer()
        var cache = SourceCache(
            tokenizer: tokenizer, vocabularySize: model.architecture.vocabularySize, threads: 2)
        let sources = try cache.open(
            [
                TextSource(path: example("data/english.val.jsonl"), weight: 2),
                TextSource(path: example("data/korean.val.jsonl")),
            ], layout: model.documentLayout(tokenizer, endOfText: .ofModel).layout)
        var data = try DataMixture(
            sources, length: 256, extent: .tokens(1_000), packing: .documents, seed: 3)
        let batch = try data.next(5)
        #expect(segments(of: batch).count > 8 && batch.targetCount < 1_000)
        try expectLossesOfDocumentsAlone(batch, model)
    }

    /// A step of 16 sequences is the same at once, in eight parts and in sixteen, also where the data ends inside it.
    @Test func howAStepIsSplitChangesNothing() throws {
        let folder = try TemporaryFolder()
        try blankModel(in: folder)
        var runs: [(losses: [Double], norms: [Double])] = []
        for (batch, accumulate) in [(16, 1), (2, 8), (1, 16)] {
            var job = TrainingJob()
            job.data = [
                TextSource(path: example("data/english.val.jsonl"), weight: 3),
                TextSource(path: example("data/korean.val.jsonl")),
            ]
            (job.batch, job.accumulate, job.length, job.tokens) = (batch, accumulate, 24, 5 * 16 * 24 + 100)
            (job.moments, job.gradients, job.fromScratch) = (.f32, .f32, true)
            (job.lr, job.warmup, job.noTensorboard) = (1e-3, 1, true)
            var run: (losses: [Double], norms: [Double]) = ([], [])
            var trained = JobRun(on: folder.path, to: folder.path("\(batch)"))
            (trained.job, trained.options.threads) = (job, 2)
            try trained {
                guard case .step(let step) = $0 else { return }
                run.losses.append(step.loss)
                run.norms.append(step.gradNorm)
            }
            runs.append(run)
        }
        #expect(runs[0].losses.count == 6 && runs[0].losses[5] < runs[0].losses[0])
        for run in runs[1...] {
            for (one, other) in zip(run.losses + run.norms, runs[0].losses + runs[0].norms) {
                #expect(abs(one - other) <= 1e-6 * other, "\(one), \(other)")
            }
        }
    }
}
