import Formats
import Foundation
import Surgery
import TestSupport
import Testing

@testable import Trainer

@Suite("The parent beside a run's sets") struct ParentTests {
    let folder: TemporaryFolder

    /// A folder with two small sets, `source`, a model that knows next to nothing, and `deep`, made of it.
    init() throws {
        folder = try TemporaryFolder()
        try barelyTrainedModel(in: folder)
        let deep = try Checkpoint.open(folder.path("source")).applying(DepthUpScaling(to: 3)).checkpoint
        try CheckpointWriter().write(deep, to: folder.path("deep"))
    }

    private func run(on model: String, to output: String, steps: Int = 2) -> JobRun {
        var run = JobRun(on: folder.path(model), to: folder.path(output))
        run.job.data = [TextSource(name: "ko", path: folder.path("korean.jsonl"), weight: 1)]
        run.job.eval = [
            TextSource(name: "en", path: folder.path("english.jsonl"), weight: 1),
            TextSource(name: "ko", path: folder.path("korean.jsonl"), weight: 1),
        ]
        (run.job.steps, run.job.batch, run.job.length, run.job.lr) = (steps, 2, 24, 1e-2)
        return run
    }

    /// What `trainer eval` says of a model.
    private func results(of model: String) throws -> [EvaluationResult] {
        let sets = ["english", "korean"].map { ($0, folder.path("\($0).jsonl")) }
        return try EvaluationRequest(model: folder.path(model), sets: sets, length: 24, threads: 1).run()
            .sets.map(\.result)
    }

    @Test func itIsWhatTheManifestNames() throws {
        var told: [(String, String)] = []
        let outcome = try run(on: "deep", to: "healed")() {
            if case .parent(let model, let name, _) = $0 { told.append((model, name)) }
        }
        guard case .measured(let model, let sets) = outcome.parent else {
            Issue.record("no parent")
            return
        }
        #expect(model == folder.path("source") && sets.map(\.name) == ["en", "ko"])
        #expect(try sets.map(\.result) == results(of: "source"))
        #expect(told.map(\.0) == [model, model] && told.map(\.1) == ["en", "ko"])
        #expect(outcome.healed.map(\.name) == ["en", "ko"])
        let share = try #require(outcome.healed.first?.share)
        #expect(share.raw == outcome.before.first?.result.bitsPerByte)
        #expect(share.now == outcome.after.first?.result.bitsPerByte)
        #expect(share.parent == sets[0].result.bitsPerByte)
        let record = try RunHistory.find(folder.path("healed"))
        #expect(record.parents.map(\.set) == ["en", "ko"])
        #expect(record.parents.map(\.result) == sets.map(\.result))
        // A healing is no surgery: a model that was healed has the same parent.
        let again = try run(on: "healed", to: "again")()
        guard case .measured(folder.path("source"), _) = again.parent else {
            Issue.record("another parent")
            return
        }
    }

    /// Two surgeries in a row are one, and a run that is healed says so, or ends.
    @Test func itIsWhatWasThereBeforeAllSurgery() throws {
        let wide = try Checkpoint.open(folder.path("deep")).applying(Expansion(to: 4, after: "2")).checkpoint
        try CheckpointWriter().write(wide, to: folder.path("wide"))
        var run = run(on: "wide", to: "healed", steps: 40)
        run.job.data = [TextSource(name: "text", path: folder.path("english.jsonl"))]
        (run.job.healedBy, run.job.untilHealed, run.job.evalEvery) = (["en"], true, 1)
        var healed: [Int] = []
        let outcome = try run { if case .healed(let step, _) = $0 { healed.append(step) } }
        guard case .measured(folder.path("source"), _) = outcome.parent else {
            Issue.record("another parent")
            return
        }
        #expect(outcome.end == .healed && outcome.step < 40)
        #expect(healed == [outcome.step] && outcome.healedAt == outcome.step)
        #expect(outcome.healed.first?.share.isHealed == true)
        #expect(
            try Manifest.read(path: folder.path("healed/surgery.json")).operations.last?.parameters["ended"]
                == "healed")
        // Without a parent there is nothing to reach.
        (run.model, run.output) = (folder.path("source"), folder.path("never"))
        let error = #expect(throws: UserFacingError.self) { try run() }
        #expect(error?.message.contains("name it with --parent") == true, "\(error?.message ?? "")")
    }

    /// What a recipe has made and not written has what was opened as its parent.
    @Test func ofWhatWasNotWrittenItIsWhatWasOpened() throws {
        var run = run(on: "source", to: "healed")
        run.checkpoint = try Checkpoint.open(folder.path("source")).applying(Expansion(to: 3, after: "1"))
            .checkpoint
        let outcome = try run()
        #expect(outcome.healed.count == 2)
        // New layers compute nothing yet, so the parent is as good.
        for share in outcome.healed.map(\.share) { #expect(abs(share.raw - share.parent) < 1e-6) }
        // The surgery before it, which was written, is one with it.
        let wide = try Checkpoint.open(folder.path("deep")).applying(Expansion(to: 4, after: "2")).checkpoint
        #expect(try ParentChoice.ofManifest.find(for: wide) { false } == .found(folder.path("source")))
    }

    @Test func itMayBeNamedOrNotWanted() throws {
        var named = run(on: "source", to: "named")
        named.job.parent = folder.path("deep")
        guard case .measured(let model, let sets) = try named().parent else {
            Issue.record("no parent")
            return
        }
        #expect(try model == folder.path("deep") && sets.map(\.result) == results(of: "deep"))
        var none = run(on: "deep", to: "none")
        none.job.noParent = true
        #expect(try none().parent == nil)
        #expect(try RunHistory.find(folder.path("none")).parents.isEmpty)
        named.job.parent = folder.path("nowhere")
        named.output = folder.path("never")
        let error = #expect(throws: UserFacingError.self) { try named() }
        #expect(error?.message.contains("nowhere") == true)
    }

    /// What is not there, has changed or was never known is said to be missing; the run goes on.
    @Test func whatIsMissingIsSaid() throws {
        func reason(_ model: String) throws -> String? {
            var told: String?
            let outcome = try run(on: model, to: "healed-\(UUID())", steps: 1)() {
                if case .noParent(let reason) = $0 { told = reason }
            }
            guard case .missing(let reason) = outcome.parent else { return nil }
            #expect(told == reason && outcome.healed.isEmpty)
            return reason
        }
        // It began with random weights: no surgery was ever done to it.
        #expect(try reason("source")?.contains("names no weights") == true)
        var weights = try folder.bytes("source/model.safetensors")
        weights[weights.count - 1] ^= 1
        try folder.write("source/model.safetensors", weights)
        #expect(try reason("deep")?.contains("another SHA-256") == true)
        try FileManager.default.removeItem(atPath: folder.path("source"))
        #expect(try reason("deep")?.contains("source") == true)
    }

    /// A source that computes or reads otherwise than when the model was grown is none; one that only looks otherwise is.
    @Test func itIsWhatItWas() throws {
        let source = folder.path("source")
        func found(of model: String = "deep") throws -> ParentModel? {
            try ParentChoice.ofManifest.find(for: Checkpoint.open(folder.path(model))) { false }
        }
        func reason() throws -> String {
            guard case .missing(let reason) = try found() else { return "" }
            return reason
        }
        #expect(try found() == .found(source))
        let config = try JSON.read(path: "\(source)/config.json")
        var (turned, other) = (JSONObject(), config)
        for (key, value) in config.object?.reversed() ?? [] { turned[key] = value }
        (turned["transformers_version"], turned["rope_theta"]) = ("5.99.0", 1e4)
        try folder.write("source/config.json", JSON.object(turned).serialized(indent: nil))
        try folder.write("source/README.md", "What was not there.")
        #expect(try found() == .found(source))
        (other["rope_theta"], other["rms_norm_eps"]) = (50, 0.5)
        try folder.write("source/config.json", other.serialized())
        #expect(
            try reason()
                == "\(source)/config.json says something else than it did when the model was grown, under "
                + "'rms_norm_eps', 'rope_theta'")
        // Also of a model that was healed since, and where nobody says what it costs to be wrong.
        try run(on: "deep", to: "healed", steps: 1)()
        guard case .missing = try found(of: "healed") else {
            Issue.record("found")
            return
        }
        let error = #expect(throws: UserFacingError.self) {
            var run = run(on: "deep", to: "taught")
            run.job.teacher = "parent"
            try run()
        }
        #expect(error?.message.contains("config.json says something else") == true, "\(error?.message ?? "")")
        try folder.write("source/config.json", config.serialized())
        #expect(try found() == .found(source))
        // The tokenizer, and files that change how it reads.
        let tokenizer = try folder.bytes("source/tokenizer.json")
        var edited = try JSON(parsing: tokenizer, file: "")
        try folder.write("source/tokenizer.json", edited.serialized(indent: nil))
        #expect(try found() == .found(source))
        edited["added_tokens"] = []
        try folder.write("source/tokenizer.json", edited.serialized())
        #expect(try reason().contains("tokenizer.json says something else"))
        try FileSystem.remove("\(source)/tokenizer.json")
        #expect(try reason() == "\(source)/tokenizer.json is not there any more")
        try folder.write("source/tokenizer.json", tokenizer)
        try folder.write("source/tokenizer_config.json", "{}")
        #expect(try reason() == "\(source)/tokenizer_config.json was not there when the model was grown")
    }

    /// Weights that are there as they were, beside others that are opened in their place.
    @Test func itsWeightsAreThoseThatAreOpened() throws {
        let base = try Checkpoint.open(folder.path("source"))
        try CheckpointWriter(options: .init(shardSize: 40_000)).write(base, to: folder.path("parts"))
        let parts = try Checkpoint.open(folder.path("parts"))
        #expect(parts.sources.count > 1)
        try CheckpointWriter().write(
            parts.applying(DepthUpScaling(to: 3)).checkpoint, to: folder.path("deeper"))
        func found() throws -> ParentModel? {
            try ParentChoice.ofManifest.find(for: Checkpoint.open(folder.path("deeper"))) { false }
        }
        #expect(try found() == .found(folder.path("parts")))
        try folder.write("parts/model.safetensors", folder.bytes("source/model.safetensors"))
        guard case .missing(let reason) = try found() else {
            Issue.record("found")
            return
        }
        #expect(
            reason.contains("parts are model.safetensors, and those of the parent were model-00001-of-"),
            "\(reason)")
    }

    /// A run that goes on measures again what it needs, and its record has it once.
    @Test func aRunThatGoesOnHasItOnce() throws {
        final class Counter { var value = 0 }
        var run = run(on: "deep", to: "stopped", steps: 4)
        let count = Counter()
        do {
            let loop = try TrainingLoop(run.prepared()) { if case .step = $0 { count.value += 1 } }
            #expect(throws: UserFacingError.self) { _ = try loop { count.value >= 2 } }
        }
        run.options.resume = true
        let outcome = try run()
        guard case .measured(_, let sets) = outcome.parent else {
            Issue.record("no parent")
            return
        }
        let record = try RunHistory.find(folder.path("stopped"))
        #expect(record.parents.map(\.result) == sets.map(\.result))
    }

    @Test func whatContradictsItselfIsRefused() {
        var job = TrainingJob()
        job.data = [TextSource(path: "text.jsonl", weight: 1)]
        job.parent = "base"
        #expect(throws: UserFacingError(.request, "--parent is put beside the sets of --eval; name some")) {
            try job.check(prefix: "--")
        }
        job.eval = [TextSource(path: "set.jsonl", weight: 1)]
        job.noParent = true
        #expect(throws: UserFacingError.self) { try job.check() }
        job.parent = nil
        #expect(job.parentChoice == .none)
        job.noParent = false
        #expect(job.parentChoice == .ofManifest)
    }
}
