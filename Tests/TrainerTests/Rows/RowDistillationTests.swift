import Formats
import Foundation
import Models
import OrderedCollections
import Surgery
import TestSupport
import Testing

@testable import Trainer

@Suite("Rows that learn from the old reading of a text") struct RowDistillationTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// The base model with the fixture's tokens, not written; `tied` is one without a head of its own.
    private func grown(_ name: String) throws -> Checkpoint {
        var base = try Checkpoint.open(example("base"))
        if name == "tied" {
            base.tensors["lm_head.weight"] = nil
            base.configuration?["tie_word_embeddings"] = true
        }
        var change = VocabularyChange()
        change.tokens = try fixture("rows/tokens.txt")
        return try base.applying(change).checkpoint
    }

    /// A run of the fixture: all texts are one step's snippets.
    private func run(
        _ name: String = "own-head", to output: String = "out",
        _ change: (inout TrainingJob) -> Void = { _ in }
    ) throws -> JobRun {
        let model = try grown(name)
        var run = JobRun(on: model.path, to: folder.path(output))
        run.checkpoint = model
        run.job.data = [TextSource(name: "ko", path: try fixture("rows/texts.jsonl"), weight: 1)]
        run.job.distilRows = try JSON.read(path: fixture("rows/losses.json"))["rule"]?.string
        (run.job.length, run.job.checkpointEvery, run.job.noTensorboard) = (256, 0, true)
        (run.job.moments, run.job.gradients, run.options.threads) = (.f32, .f32, 2)
        change(&run.job)
        try run.job.check()
        return run
    }

    private func expected(_ name: String) throws -> JSON {
        try #require(try JSON.read(path: fixture("rows/losses.json"))["runs"]?[name])
    }

    // MARK: Beside PyTorch

    /// PyTorch's losses and norms of gradients, of a model with a head of its own and of one whose head is the embedding.
    @Test(arguments: ["own-head", "tied"]) func lossesArePyTorchs(name: String) throws {
        let expected = try expected(name)
        let steps = try #require(expected["steps"]?.array)
        var reports: [StepReport] = []
        let outcome = try run(name)() { if case .step(let report) = $0 { reports.append(report) } }
        #expect(reports.count == 8 && steps.count == 8)
        for (report, step) in zip(reports, steps) {
            let figures = try #require(report.rows)
            let square = try #require(step["mse"]?.double)
            #expect(
                abs(figures.meanSquare - square) <= 1e-5 * square, "\(report.step): \(figures), \(square)")
            #expect((figures.crossEntropy == nil) == (name == "tied"))
            if let entropy = step["cross_entropy"]?.double {
                let found = try #require(figures.crossEntropy)
                #expect(abs(found - entropy) <= 1e-5 * entropy, "\(report.step): \(found), \(entropy)")
            }
            #expect(figures.places == expected["places"]?.int)
            #expect(report.loss == figures.loss && report.lr == 2e-3)
            let norm = try #require(step["grad_norm"]?.double)
            #expect(abs(report.gradNorm - norm) <= 1e-3 * norm, "\(report.step): \(report.gradNorm), \(norm)")
        }
        #expect(outcome.rows.map(\.snippets) == [12])
    }

    @Test(arguments: ["own-head", "tied"]) func gradientsArePyTorchs(name: String) throws {
        let stage = try #require(run(name).prepared().stages.first)
        let expected = try Checkpoint.open(fixture("rows/gradients-\(name).safetensors")).tensors
        let engine = try DefaultEngine(threads: 2)
        var data = stage.data
        let batch = try data.next(stage.plan.batch)
        let model = try Transformer(
            stage.model.architecture, layout: stage.layout,
            plan: stage.plan.activations(stage.model.architecture, stage.layout), on: engine)
        try stage.model.load(into: model)
        let distiller = try RowDistiller(model, layer: try #require(stage.plan.rows?.layer))
        _ = distiller.backward(batch)
        #expect(expected.count == (name == "tied" ? 1 : 2))
        for (name, tensor) in expected {
            let parameter = try #require(stage.layout.parameters.first { $0.name == name })
            let region = try #require(parameter.gradient)
            let found = values(model.gradients(at: region), on: engine)
            let old = found.count - tensor.shape.reduce(1, *)
            #expect(old == 1_024 * 128)
            #expect(try relativeDifference(Array(found[old...]), tensor.floats()) <= 1e-3, "\(name)")
        }
    }

    // MARK: What is trained

    /// Everything but the new rows comes back bit for bit, and the manifest says what was done.
    @Test func nothingElseMoves() throws {
        let run = try run()
        try run()
        let (before, after) = (try #require(run.checkpoint), try Checkpoint.open(folder.path("out")))
        #expect(before.tensors.count == after.tensors.count)
        for (name, tensor) in before.tensors {
            let (old, new) = (try tensor.floats(), try #require(after[name]).floats())
            let kept =
                ["model.embed_tokens.weight", "lm_head.weight"].contains(name) ? 1_024 * 128 : old.count
            #expect(old.prefix(kept) == new.prefix(kept), "\(name)")
            if kept < old.count { #expect(old.suffix(from: kept) != new.suffix(from: kept), "\(name)") }
        }
        let rows = after.manifest?.operations.last?.parameters["distilled_rows"]?[0]
        #expect(rows?["snippets"] == 12 && (rows?["found"]?.int ?? 0) > 3)
    }

    /// A run that is stopped after each step ends with the same bytes, on another number of threads.
    @Test func stoppedAnywhere() throws {
        func few(_ job: inout TrainingJob) {
            job.distilRows = "snippets=9 length=40 layer=2 rate=1e-3 batch=5 epochs=2"
        }
        try run(to: "straight", few)()
        var pieces = try run(to: "pieces", few)
        (pieces.options.resume, pieces.options.threads) = (true, 1)
        let stops = try pieces.stopped().stops
        #expect(stops >= 3)
        #expect(try folder.bytes("straight/model.safetensors") == folder.bytes("pieces/model.safetensors"))
        let prepared = try pieces.prepared()
        #expect(try prepared.finished()?.steps == prepared.steps && prepared.steps >= 4)
    }

    /// Rows first, then all of it: the second stage has the job's numbers, the first its own.
    @Test func asTheFirstStage() throws {
        var run = try run {
            $0.distilRows = nil
            ($0.lr, $0.steps, $0.batch, $0.schedule) = (1e-3, 3, 2, .linear)
            $0.teacher = "parent"
            $0.stages = [
                TrainingStage(["name": "rows", "distil-rows": "snippets=4 length=40 layer=1"]),
                TrainingStage(["name": "all"]),
            ]
        }
        run.job.log = folder.path("log.jsonl")
        let prepared = try run.prepared()
        let (rows, all) = (prepared.stages[0], prepared.stages[1])
        #expect(rows.plan.optimizer.rate == 1e-4 && rows.plan.optimizer.beta2 == 0.999)
        #expect(rows.plan.optimizer.weightDecay == 0 && rows.plan.optimizer.clip == nil)
        #expect(rows.plan.steps == 1 && rows.plan.batch == 3 && rows.plan.teaching == nil)
        #expect(rows.layout.trainedNames == ["model.embed_tokens.weight", "lm_head.weight"])
        #expect(all.plan.optimizer.rate == 1e-3 && all.plan.steps == 3 && all.plan.rows == nil)
        #expect(!all.goesOn && all.plan.teaching != nil && all.layout.trainedNames.count > 60)
        let told = JobExplanation(of: prepared).rows
        let rate = try #require(told.first { $0.name == "lr" && $0.stage == "rows" })
        #expect(rate.value == 1e-4 && rate.origin == .rule)
        var reports: [StepReport] = []
        try run() { if case .step(let report) = $0 { reports.append(report) } }
        #expect(reports.map { $0.rows != nil } == [true, false, false, false])
        #expect(reports.map { $0.teacher != nil } == [false, true, true, true])
        let history = try RunHistory.find(folder.path("out"))
        #expect(history.steps.map(\.rows) == reports.map(\.rows))
        let page = String(decoding: RunPage([history]).html, as: UTF8.self)
        #expect(page.contains("<h2 id=\"rows\">") && page.contains("Both readings"))
        let line = try String(contentsOfFile: folder.path("log.jsonl"), encoding: .utf8).prefix { $0 != "\n" }
        let first = try JSON(parsing: Array(line.utf8), file: "log")
        #expect(first["rows"]?["mse"]?.double == reports[0].rows?.meanSquare)
        #expect(reports[0].sources.keys.sorted() == ["ko, snippets"])
        #expect(reports[3].sources.keys.sorted() == ["ko", "ko, snippets"])
        // The record knows of both where they lie.
        let paths = Set(history.facts?["sources"]?.array?.map { $0["path"]?.string } ?? [])
        #expect(paths.count == 1 && paths.first != .some(nil))
    }

    // MARK: Snippets

    /// A search in the Korean sample for the tokens that were learnt from it.
    private func searched(
        _ rule: String, threads: Int = 2
    ) throws -> (search: SnippetSearch, reading: OldReading, new: Tokenizer, documents: Int) {
        var change = VocabularyChange()
        let corpus = example("data/korean.train.jsonl")
        (change.learn, change.corpus) = (200, [corpus])
        let model = try PretrainedModel(Checkpoint.open(example("base")).applying(change).checkpoint)
        let tokenizer = try model.tokenizer()
        let origins = try #require(try ModelOrigins(of: model))
        let added = TokenExposure(of: origins, in: model.layout, tokenizer: tokenizer)
        var job = TrainingJob()
        job.distilRows = rule
        let found = try OldReading.find(
            for: job, model, tokenizer, added: added, isDryRun: false, isCancelled: { false })
        let reading = try #require(found?.reading)
        var cache = SourceCache(tokenizer: tokenizer, vocabularySize: model.architecture.vocabularySize)
        let opened = try cache.open(
            [TextSource(name: "ko", path: corpus, weight: 1)],
            layout: DocumentLayout(start: 1, end: 2, tokenizer: tokenizer))
        var search = SnippetSearch(try RowDistillation(rule), reading, tokenizer, hasStart: true)
        try search.search(
            opened, options: TextOptions(), seed: 3, threads: threads, isCancelled: { false })
        return (search, reading, tokenizer, opened[0].encoder.count)
    }

    /// A snippet is one text in both readings, no longer than it may be, and both end wherever their tokens do.
    @Test func bothReadingsAreOneText() throws {
        let (search, reading, new, _) = try searched("snippets=3 length=30")
        #expect(reading.new.count == 200 && search.snippets.count > 40 && search.unlike == 0)
        #expect(reading.tokens.prefix(1_024).elementsEqual(0..<1_024))
        var counts: [Int32: Int] = [:]
        for snippet in search.snippets {
            #expect((1...29).contains(snippet.own.count) && (1...29).contains(snippet.old.count))
            func bytes(_ tokens: some Sequence<Int32>, _ tokenizer: Tokenizer) -> [UInt8] {
                tokens.flatMap { tokenizer.bytes(of: $0) }
            }
            #expect(bytes(snippet.own, new) == bytes(snippet.old, reading.tokenizer))
            func lengths(_ tokens: [Int32], _ tokenizer: Tokenizer) -> [Int] {
                tokens.indices.map { bytes(tokens[...$0], tokenizer).count }
            }
            let (own, old) = (lengths(snippet.own, new), lengths(snippet.old, reading.tokenizer))
            #expect(snippet.ends.map { own[$0.own - 1] } == own.filter(old.contains))
            #expect(snippet.ends.map { old[$0.old - 1] } == own.filter(old.contains))
            #expect(snippet.ends.last.map { [$0.own, $0.old] } == [snippet.own.count, snippet.old.count])
            for token in Set(snippet.own) where token >= 1_024 { counts[token, default: 0] += 1 }
        }
        #expect(search.counts == reading.new.map { counts[$0] ?? 0 })
        // Fewer only where the text has fewer.
        let all = try self.searched("snippets=100000 length=30").search
        for (few, many) in zip(search.counts, all.counts) { #expect(few >= min(3, many)) }
        #expect(search.summary.found == search.counts.count { $0 > 0 })
        #expect(search.missing.count == search.counts.count { $0 == 0 })
    }

    /// The same snippets on any number of threads.
    @Test func threadsDecideNothing() throws {
        let (one, other) = (
            try searched("snippets=2 length=20", threads: 1), try searched("snippets=2 length=20")
        )
        #expect(one.search.snippets == other.search.snippets)
        #expect(one.search.summary == other.search.summary)
        let longer = try searched("snippets=2 length=24").search.summary
        #expect(longer.sha256 != one.search.summary.sha256)
    }

    /// Every snippet is in a pass once, several in a sequence, and none sees another.
    @Test func aPassShowsEachOnce() throws {
        let search = try searched("snippets=2 length=20 batch=7 epochs=2").search
        let rule = try RowDistillation("snippets=2 length=20 batch=7 epochs=2")
        var data = Snippets(search.snippets, of: ["ko"], rule, length: 64, start: 1, seed: 5)
        #expect(rule.sequences(64) == 3)
        var (places, shown) = (0, 0)
        for step in 0..<data.steps {
            var copy = data
            let batch = data.next(3)
            if step == data.steps / 2 {
                try copy.move(to: copy.position)
                #expect(copy.next(3) == batch)
            }
            let old = try #require(batch.old)
            places += old.own.count
            shown += batch.documents.count
            for (own, before) in zip(old.own, old.old) {
                // Both lie in the same slot, behind a start of its own.
                #expect(batch.attentionStart[Int(own)] == old.attentionStart[Int(before)])
                #expect(batch.attentionStart[Int(own)] % 20 == 0 && own % 64 > batch.attentionStart[Int(own)])
            }
            for row in batch.tokens.indices where batch.targets[row] >= 0 {
                #expect(batch.tokens[row + 1] == batch.targets[row])
                #expect(batch.attentionStart[row + 1] == batch.attentionStart[row])
            }
        }
        #expect(shown == 2 * search.snippets.count)
        #expect(places == 2 * search.snippets.reduce(0) { $0 + $1.ends.count })
        #expect(data.sources == data.sourcesAtEnd && data.next(3).targetCount == 0)
    }

    // MARK: Another engine

    /// The run folder of a job whose first stage distils rows, and the job.
    private func written(_ name: String) throws -> (folder: RunFolder, prepared: PreparedJob) {
        try CheckpointWriter().write(grown(name), to: folder.path("grown"))
        var run = try run(name) {
            $0.distilRows = nil
            ($0.steps, $0.batch, $0.keep) = (2, 2, 1)
            $0.stages = [
                TrainingStage(["distil-rows": "snippets=9 length=40 layer=2 batch=5 epochs=2"]),
                TrainingStage(),
            ]
        }
        (run.model, run.checkpoint) = (folder.path("grown"), nil)
        let prepared = try run.prepared()
        let settings = ClusterSettings(processes: 2, device: .cpu)
        return (try RunFolder.write(prepared, settings, to: folder.path("out.cluster")), prepared)
    }

    /// Each snippet is a sequence of its own, and the text up to a place is that up to the place with which it is compared.
    @Test(arguments: ["own-head", "tied"]) func snippetsAreWritten(name: String) throws {
        let (written, prepared) = try written(name)
        let (stage, all) = (written.job.stages[0], written.job.stages[1])
        #expect((stage.batch, stage.accumulate, stage.length, stage.parts) == (5, 1, 40, 6))
        #expect(stage.distillation?.layer == 2 && stage.distillation?.predicts == (name == "own-head"))
        #expect(all.distillation == nil && (all.batch, all.length, all.parts) == (2, 256, 3))
        #expect(stage.tensors.count == (name == "own-head" ? 2 : 1) && stage.optimizer.clip == nil)
        let bytes = try InputFile(path: written.path + "/stage-1.tokens").bytes()
        let numbers = stride(from: 0, to: bytes.count, by: 4).map { place in
            (0..<4).reduce(Int32(0)) { $0 | Int32(bitPattern: UInt32(bytes[place + $1]) << UInt32(8 * $1)) }
        }
        #expect(numbers.count == stage.steps * 5 * 6 * 40 && stage.steps >= 4)
        let own = try prepared.model.tokenizer()
        let old = try PretrainedModel.open(example("base")).tokenizer()
        var data = prepared.stages[0].data
        var texts = 0
        for step in 0..<stage.steps {
            let batch = try data.next(prepared.stages[0].plan.batch)
            var (places, targets) = (0, [Int32]())
            for row in 0..<5 {
                let start = (step * 5 + row) * 240
                let part = { Array(numbers[start + $0 * 40..<start + ($0 + 1) * 40]) }
                let (tokens, starts, before, oldStarts) = (part(0), part(2), part(3), part(4))
                targets += part(1).filter { $0 >= 0 }
                for (place, other) in part(5).enumerated() where other >= 0 {
                    places += 1
                    #expect(starts[place] == 0 && oldStarts[Int(other)] == 0 && tokens[0] == before[0])
                    let text = tokens[1...place].flatMap { own.bytes(of: $0) }
                    #expect(text == before[1...Int(other)].flatMap { old.bytes(of: $0) } && !text.isEmpty)
                }
                texts += part(5).contains { $0 >= 0 } ? 1 : 0
            }
            #expect(
                places == batch.old?.own.count
                    && targets.sorted() == batch.targets.filter { $0 >= 0 }.sorted())
        }
        #expect(texts == 2 * (prepared.stages[0].plan.snippets?.snippets ?? 0))
    }

    /// New tokens are counted as in the trainer's own steps, and the manifest says what was found.
    @Test func whatWasShownIsTold() throws {
        let (written, prepared) = try written("own-head")
        let steps = written.job.stages[0].steps
        var (expected, found) = (try #require(prepared.exposure), try #require(prepared.exposure))
        var data = prepared.stages[0].data
        for _ in 0..<steps { expected.count(try data.next(prepared.stages[0].plan.batch)) }
        let draws = Dictionary(uniqueKeysWithValues: (1...steps).map { ($0, $0 - 1) })
        try written.forEachStep(draws) { found.count($0) }
        #expect(found.state == expected.state && found.state.contains { $0 > 0 })
        var outcome = TrainingOutcome(step: steps, sources: [])
        outcome.rows = prepared.stages.compactMap(\.plan.snippets)
        let told = written.job.operation(of: outcome, stage: 0).parameters["distilled_rows"]
        #expect(told?[0]?["snippets"]?.int == outcome.rows[0].snippets)
    }

    // MARK: Refusals

    @Test(arguments: [
        ("", "say what it takes"), ("snippets", "snippets needs a number"),
        ("snipets=3", "did you mean snippets?"),
        ("snippets=0", "a whole number from 1 on, not 0"), ("length=3", "from 4 on"),
        ("rate=0", "rate is above 0"), ("batch=2 batch=3", "batch stands there twice"),
        ("layer=9", "behind layer 9, and the model has 8"),
        ("length=300", "longer than a sequence, which has 256 tokens"),
    ])
    func aRuleThatIsWrong(rule: String, message: String) throws {
        let error = #expect(throws: UserFacingError.self) { _ = try run { $0.distilRows = rule }.prepared() }
        #expect(error?.description.contains(message) == true, "\(String(describing: error))")
    }

    @Test func whatContradictsItself() throws {
        func refusal(_ change: (inout TrainingJob) throws -> Void) -> String {
            var job = TrainingJob()
            (job.data, job.distilRows) = ([TextSource(path: "ko.jsonl")], "snippets=2")
            do {
                try change(&job)
                try job.check(prefix: "--")
            } catch { return "\(error)" }
            return ""
        }
        #expect(refusal { _ in } == "")
        #expect(
            refusal { $0.lr = 1e-3 }.contains(
                "--lr does not go with --distil-rows, which says how rows are moved itself; give rate="))
        #expect(refusal { $0.steps = 9 }.contains("--steps does not go with --distil-rows"))
        #expect(refusal { $0.groups = ["rest: freeze"] }.contains("--groups does not go with"))
        #expect(refusal { $0.stages = [TrainingStage()] }.contains("--distil-rows is of one stage"))
        #expect(refusal { $0.fromScratch = true }.contains("--from-scratch has nothing to distil rows from"))
        #expect(refusal { $0.seam = .ramp }.contains("--seam ramp is of the first stage"))
        let stage = refusal {
            $0.distilRows = nil
            $0.stages = [TrainingStage(["distil-rows": "snippets=2", "lr": 1e-3])]
        }
        #expect(stage.contains("the stage 'stage 1': --lr does not go with"))
    }

    /// Nothing to learn, and nothing to learn it from, is said.
    @Test func nothingToLearn() throws {
        func refusal(_ change: (inout JobRun) throws -> Void) throws -> String {
            var run = try run()
            try change(&run)
            do { _ = try run.prepared() } catch { return "\(error)" }
            return ""
        }
        #expect(try refusal { _ in } == "")
        let blank = try folder.copy(of: example("base"), as: "plain")
        try FileSystem.remove(blank + "/surgery.json")
        let plain = try refusal { ($0.model, $0.checkpoint) = (blank, nil) }
        #expect(plain.contains("has no surgery.json that tells of a surgery"), "\(plain)")
        let deeper = try Checkpoint.open(blank).applying(DepthUpScaling(to: 10)).checkpoint
        let deep = try refusal { ($0.model, $0.checkpoint) = (blank, deeper) }
        #expect(deep.contains("no token that its parent does not have"), "\(deep)")
        let alone = try refusal { $0.job.noParent = true }
        #expect(alone.contains("the parent's tokenizer is not known: --no-parent leaves it out"), "\(alone)")
        let english = try folder.write("english.jsonl", "{\"text\": \"nothing of that\"}\n")
        let other = try refusal { $0.job.data = [TextSource(path: english)] }
        #expect(other.contains("the text has no snippet with one of the"), "\(other)")
        let warned = try run { $0.distilRows = "snippets=1 length=40 layer=1" }.prepared().warnings
        #expect(warned.contains { $0.contains("new tokens are in no snippet") }, "\(warned)")
    }
}
