import Formats
import Models
import Surgery
import TestSupport
import Testing

@testable import Trainer

@Suite struct TokenExposureTests {
    /// The same, token by token: an input counts where a target sees it.
    private func counted(
        _ batches: [TokenBatch], _ tokens: [Int32]
    ) -> (inputs: [UInt32], targets: [UInt32]) {
        var (inputs, targets): ([Int32: UInt32], [Int32: UInt32]) = ([:], [:])
        for batch in batches {
            let length = batch.sequenceLength
            for index in batch.tokens.indices {
                let (row, position) = index.quotientAndRemainder(dividingBy: length)
                targets[batch.targets[index], default: 0] += 1
                let isSeen = (index..<(row + 1) * length).contains {
                    batch.targets[$0] >= 0 && batch.attentionStart[$0] <= position
                }
                if isSeen { inputs[batch.tokens[index], default: 0] += 1 }
            }
        }
        return (tokens.map { inputs[$0] ?? 0 }, tokens.map { targets[$0] ?? 0 })
    }

    /// Every token of a source is counted once in a pass, whatever fills the last sequences and the batch.
    @Test(arguments: Packing.allCases) func aPassCountsEveryTokenOnce(_ packing: Packing) throws {
        let tokenizer = try Tokenizer.open(example("blank"))
        let files = ["data/english.val.jsonl", "data/korean.val.jsonl"].map(example)
        var cache = SourceCache(
            tokenizer: tokenizer, vocabularySize: 1_024, counting: TokenExposure(of: 2..<1_024))
        let layout = try DocumentLayout(start: 1, end: 2, tokenizer: tokenizer)
        let sizes = try cache.open(files.map { TextSource(path: $0) }, layout: layout).map(\.size.tokens)
        let sources = try cache.open(
            zip(files, sizes).map { TextSource(path: $0, weight: Double($1)) }, layout: layout)
        var data = try DataMixture(sources, length: 48, extent: .passes(1), packing: packing, seed: 4)
        var exposure = TokenExposure(of: 2..<1_024)
        var batches: [TokenBatch] = []
        for _ in 0..<(try #require(data.sequenceCount())) / 5 + 3 { batches.append(try data.next(5)) }
        for batch in batches { exposure.count(batch) }
        var expected = [UInt32](repeating: 0, count: 1_022)
        for source in sources {
            for index in 0..<source.encoder.count {
                for token in try source.encoder.tokens(index) where token > 1 {
                    expected[Int(token) - 2] += 1
                }
            }
        }
        #expect(exposure.targets == expected)
        // Opening has counted as much.
        let opened = try sources.map { try #require($0.size.new?.targets) }
        #expect(zip(opened[0], opened[1]).map(&+) == expected && opened[0] != opened[1])
        #expect(exposure.inputs == counted(batches, exposure.tokens).inputs)
        // The end of a text is an input only where the next text sees it.
        #expect((exposure.inputs[0] == 0) == (packing == .documents))
        #expect(zip(exposure.inputs, exposure.targets).allSatisfy { $0 <= $1 })
    }

    /// Rows with padding and labels, where a prompt is seen and not predicted.
    @Test func rowsCountWhatTargetsSee() {
        var batch = TokenBatch(
            batch: 2, sequenceLength: 6, tokens: [7, 8, 9, 7, 0, 0] + [7, 7, 7, 8, 8, 9],
            targets: [-1, 9, 7, -1, -1, -1] + [-1, -1, -1, -1, -1, -1])
        batch.attentionStart = [0, 0, 0, 0, 4, 5] + [0, 0, 0, 0, 0, 0]
        var exposure = TokenExposure(of: [9, 0, 7, 9])
        exposure.count(batch)
        #expect(exposure.tokens == [0, 7, 9])
        #expect(exposure.inputs == [0, 1, 1] && exposure.targets == [0, 1, 1])
        let expected = counted([batch], exposure.tokens)
        #expect(expected.inputs == exposure.inputs && expected.targets == exposure.targets)
    }

    @Test func whatIsKeptComesBack() {
        var exposure = TokenExposure(of: 5..<8)
        let isRestored = exposure.restore([1, 2, 3, 4, .max, 6])
        #expect(isRestored)
        #expect(exposure.inputs == [1, 2, 3] && exposure.targets == [4, .max, 6])
        exposure.count(TokenBatch(batch: 1, sequenceLength: 3, tokens: [5, 6, 7], targets: [6, 7, -1]))
        // A count that is full stays so.
        #expect(exposure.state == [2, 3, 3, 4, .max, 7])
        let isOther = !exposure.restore([1])
        #expect(isOther && exposure.state == [2, 3, 3, 4, .max, 7])
        var none = TokenExposure(of: [])
        none.count(TokenBatch(batch: 1, sequenceLength: 1, tokens: [5], targets: [6]))
        #expect(none.state.isEmpty && none.summary { _ in "" }.rarest.isEmpty)
    }

    @Test func aSummaryNamesTheRarest() {
        var exposure = TokenExposure(of: [10, 11, 12, 13, 14, 15, 16])
        let isRestored = exposure.restore([0, 4, 1, 0, 0, 0, 9] + [0, 1_000, 0, 9, 10, 99, 999])
        #expect(isRestored)
        let summary = exposure.summary(rarest: 3) { "<\($0)>" }
        #expect(summary.tokens == 7 && summary.bands.map(\.tokens) == [2, 1, 2, 1, 1])
        #expect(summary.bands.map(\.least) == [0, 1, 10, 100, 1_000])
        #expect(summary.bands.map(\.most) == [0, 9, 99, 999, nil])
        #expect(summary.rarest.map(\.id) == [10, 12, 13] && summary.rarest.map(\.targets) == [0, 0, 9])
        #expect(summary.rarest.map(\.inputs) == [0, 1, 0])
    }

    /// The new tokens are the rows that a surgery has added at either end and that the tokenizer has a token for.
    @Test func newTokensAreThoseOfTheSurgery() throws {
        let folder = try TemporaryFolder()
        let corpus = try folder.write(
            "corpus.jsonl",
            (0..<40).map { "{\"text\": \"the workbook \($0 % 7) and the worksheet\"}" }.joined(
                separator: "\n"))
        var change = VocabularyChange()
        (change.learn, change.corpus, change.padToMultipleOf) = (5, [corpus], 64)
        let base = try Checkpoint.open(example("base"))
        let grown = try base.applying(change).checkpoint
        let model = try PretrainedModel(grown)
        let origins = try #require(try ModelOrigins(of: model))
        let tokenizer = try model.tokenizer()
        let exposure = TokenExposure(of: origins, in: model.layout, tokenizer: tokenizer)
        #expect(exposure.tokens == (1_024..<1_029).map { Int32($0) })
        #expect(origins.newRows.values.contains { $0.joined().count == 64 })
        let untouched = try PretrainedModel(base)
        #expect(try ModelOrigins(of: untouched) == nil)
    }

    /// What a run will show is foretold as it is counted in the run, and said where it is little.
    @Test func aRunSaysHowManyTokensItCanTeach() throws {
        let folder = try TemporaryFolder()
        let corpus = try folder.write(
            "corpus.jsonl",
            (0..<40).map { "{\"text\": \"the workbook \($0 % 7) and the worksheet\"}" }.joined(
                separator: "\n"))
        var change = VocabularyChange()
        (change.learn, change.corpus) = (5, [corpus])
        let outcome = try Checkpoint.open(example("base")).applying(change)
        #expect(
            outcome.warnings.contains { $0.contains("seen fewer than 100 times in one pass over the corpus") }
        )
        #expect(try #require(outcome.facts["exposure"]?["under_100"]?.int) > 0)
        var run = JobRun(on: example("base"), to: folder.path("healed"))
        run.checkpoint = outcome.checkpoint
        run.job.data = [TextSource(path: corpus)]
        (run.job.epochs, run.job.batch, run.job.length, run.job.noTensorboard) = (2, 2, 32, true)
        run.job.noParent = true
        let prepared = try run.prepared()
        let forecast = try #require(PreparedJob.exposure(in: prepared.stages))
        var found: ExposureSummary?
        try run { if case .exposed(_, let summary) = $0 { found = summary } }
        let counts = try #require(found?.rarest.map { Double($0.targets) })
        #expect(counts.count == 5 && counts.contains { $0 > 0 })
        #expect(ExposureForecast(counts) == forecast)
        let warning = try #require(prepared.warnings.first { $0.contains("times in this run") })
        #expect(warning.contains("\(forecast.rare) of 5 new tokens"))
        // A longer run teaches more.
        run.job.epochs = 400
        let longer = try #require(PreparedJob.exposure(in: run.prepared().stages))
        #expect(longer.rare < forecast.rare && longer.median == 200 * forecast.median)
    }
}
