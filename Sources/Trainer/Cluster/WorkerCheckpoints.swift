internal import Formats
internal import Foundation
internal import OrderedCollections

/// The checkpoints that stay when the worker is done: it writes each as safetensors files, `kept/checkpoint-N` of its
/// ``RunFolder``, and the trainer makes of it what its own engine would have kept, `OUT.run/step-N`.
///
/// So it can be exported, another run can begin with it, and the trainer's own engine can go on from it. The worker keeps moments
/// by tensor; the trainer by operand, in the order of its memory.
struct WorkerCheckpoints {
    private let folder: RunFolder
    private let model: PretrainedModel

    init(_ folder: RunFolder, _ model: PretrainedModel) { (self.folder, self.model) = (folder, model) }

    /// What the worker says of a checkpoint.
    private struct Progress: Codable {
        var step: Int, stage: Int, shift: Int
        var shown: [String: Int], counts: [String: Int]
        var synthetic: [String: Int]?
        var rollbacks: Int, goesBackTo: Int
        var guarding: JSON, evaluations: JSON

        enum CodingKeys: String, CodingKey {
            case step, stage, shift, shown, synthetic, counts, rollbacks, evaluations
            case goesBackTo = "goes_back_to"
            case guarding = "guard"
        }
    }

    /// Writes them into the run's folder; what is there of earlier ones goes.
    ///
    /// - Parameters:
    ///   - events: what has happened.
    ///   - isCancelled: asked before each; true stops.
    /// - Throws: ``UserFacingError`` when one is not what a worker writes, or there is no room.
    func bringHome(_ events: WorkerEvents, _ isCancelled: () -> Bool) throws {
        let kept = Path.join(folder.path, "kept")
        let run = CheckpointStore.folder(of: folder.job.output)
        guard FileSystem.exists(kept) else { return }
        let beginning = try WorkerBeginning.masters(in: folder)
        let stages = try folder.job.identity.stages(on: model, after: Set(beginning.keys))
        let draws = try WorkerEvents.draws(of: folder)
        for name in try FileSystem.names(kept).sorted() where name.hasPrefix("checkpoint-") {
            if isCancelled() { throw UserFacingError.interrupted("; the result is not adopted yet") }
            let path = Path.join(kept, name)
            let file = Path.join(path, "progress.json")
            guard let progress = try? JSON.read(path: file).decoded(as: Progress.self),
                stages.indices.contains(progress.stage)
            else { throw UserFacingError(.malformed, "\(file) is not what a worker writes") }
            let found = try Checkpoint.open(path).tensors
            var tensors: OrderedDictionary<String, TensorExpression> = [:]
            let trained = stages[...progress.stage].reduce(into: Set<String>()) {
                $0.formUnion($1.layout.trainedNames)
            }
            for parameter in trained.union(beginning.keys).sorted() {
                let name = CheckpointStore.weightsPrefix + parameter
                tensors[name] = found[name] == nil ? beginning[parameter] : try tensor(name, in: found, path)
            }
            let layout = stages[progress.stage].layout
            for kind in ["mean", "square", "average"]
            where kind != "average" || folder.job.rules.result == .average {
                for block in layout.trained {
                    let parts = try layout.parameters(of: block).map { parameter in
                        let own = try tensor("\(kind)/\(parameter.name)", in: found, path)
                        let inMemory = parameter.isTransposed ? try own.transposed() : own
                        return try inMemory.reshaped(to: [parameter.weights.count])
                    }
                    let joined = try TensorExpression.joined(parts)
                    tensors["\(kind)/\(block.name)"] = joined.type == .bf16 ? try joined.inWords() : joined
                }
            }
            try CheckpointStore.write(
                tensors, folder.job.identity, state(progress, layout, events, draws),
                ModelPlace(path: folder.job.model.path, isBlank: false), in: run,
                freeSpace: FileSystem.freeSpace)
        }
    }

    private func tensor(
        _ name: String, in tensors: OrderedDictionary<String, TensorExpression>, _ path: String
    ) throws(UserFacingError) -> TensorExpression {
        guard let tensor = tensors[name] else {
            throw UserFacingError(.inconsistent, "\(path): the tensor '\(name)' is not there")
        }
        return tensor
    }

    /// Where the run stood, as the trainer's own engine notes it.
    private func state(
        _ progress: Progress, _ layout: ParameterLayout, _ events: WorkerEvents, _ draws: [Int: Int]
    ) throws -> RunProgress {
        let (job, index) = (folder.job, progress.stage)
        let first = job.stages[..<index].reduce(0) { $0 + $1.steps }
        let lines = try folder.draws(of: index)
        let draw = progress.step - first + progress.shift - 1
        guard lines.indices.contains(draw),
            let position = try lines[draw]["position"]?.decoded(as: DataPosition.self)
        else {
            throw UserFacingError(
                .inconsistent,
                "\(folder.path): nothing tells where the data stood after step \(progress.step)")
        }
        var ages: [String: Int] = [:]
        for block in layout.trained {
            ages[block.name] = layout.parameters(of: block).first.flatMap { progress.counts[$0.name] }
        }
        var guarding = try JSON(encoding: job.identity.stages[index].guarding)
        for (key, own) in [
            ("losses", "losses"), ("norms", "norms"), ("inARow", "in_a_row"), ("again", "again"),
        ] {
            guarding[key] = progress.guarding[own]
        }
        let sizes = job.stages[...index].reduce(into: [String: Int]()) { $0.merge($1.sizes) { $1 } }
        func sources(_ shown: [String: Int], _ synthetic: [String: Int]) -> [SourceProgress] {
            shown.sorted { $0.key < $1.key }.map {
                SourceProgress(
                    name: $0.key, shown: $0.value, size: sizes[$0.key] ?? 1, synthetic: synthetic[$0.key])
            }
        }
        // What the data of this stage, and of those that it goes on from, has shown by then, taken from all.
        var start = index
        while start > 0, job.stages[start].goesOn { start -= 1 }
        let before =
            start == 0 ? nil : try folder.draws(of: start - 1)[job.stages[start - 1].steps - 1]["sources"]
        let synthetic = progress.synthetic ?? [:]
        var (earlier, earlierSynthetic) = (progress.shown, synthetic)
        for (name, figures) in lines[draw]["sources"]?.object ?? [:] {
            let planned = before?[name]?["tokens"]?.int ?? 0
            earlier[name] = (earlier[name] ?? 0) - (figures["tokens"]?.int ?? 0) + planned
            guard let own = figures["synthetic"]?.int else { continue }
            earlierSynthetic[name] =
                (synthetic[name] ?? 0) - own + (before?[name]?["synthetic"]?.int ?? 0)
        }
        var exposure = try TokenExposure(of: model)
        try folder.forEachStep(draws.filter { $0.key <= progress.step }) { exposure?.count($0) }
        return RunProgress(
            step: progress.step, stage: index,
            inStage: StageProgress(
                step: progress.step - first, data: position, ages: ages, updates: 0,
                guarding: try guarding.decoded(as: StepGuard.self)),
            ages: ages, earlier: start == 0 ? [] : sources(earlier.filter { $0.value > 0 }, earlierSynthetic),
            sources: sources(progress.shown, synthetic), evaluations: try evaluations(progress, events),
            exposure: exposure?.state ?? [], goesBackTo: progress.goesBackTo == 0 ? nil : progress.goesBackTo,
            rollbacks: progress.rollbacks,
            taught: try WorkerEvents.taught(of: folder, through: progress.step))
    }

    /// What the evaluations had come to.
    private func evaluations(_ progress: Progress, _ events: WorkerEvents) throws -> EvaluationProgress {
        func evaluation(_ kind: String) -> EvaluationProgress.Evaluation? {
            progress.evaluations[kind]?["step"]?.int.map { step in
                EvaluationProgress.Evaluation(
                    step: step,
                    findings: events.results(after: step).map {
                        EvaluationProgress.Finding(name: $0.name, result: $0.result)
                    })
            }
        }
        var patience: Patience?
        if let count = folder.job.rules.patience, var waiting = progress.evaluations["patience"] {
            waiting["evaluations"] = JSON(count)
            patience = try waiting.decoded(as: Patience.self)
        }
        return EvaluationProgress(
            first: evaluation("first"), best: evaluation("best"), last: evaluation("last"),
            patience: patience,
            end: progress.evaluations["end"]?.string.flatMap(RunEnd.init(rawValue:)),
            healedAt: progress.evaluations["healed_at"]?.int)
    }
}

extension TensorExpression {
    /// Bfloat16 as the engine keeps it, two values to a word.
    fileprivate func inWords() throws(UserFacingError) -> TensorExpression {
        let odd = elementCount % 2 == 0 ? [] : [try TensorExpression.zeros(.bf16, shape: [1])]
        let values = try TensorExpression.joined([self] + odd)
        return try .stored(
            MemoryTensor(name: "words", type: .u32, shape: [values.elementCount / 2]) {
                (bytes, destination) throws(UserFacingError) in try values.read(bytes, into: &destination)
            })
    }
}

extension ParameterLayout {
    /// The tensors of an operand, in the order in which they lie.
    func parameters(of block: ParameterBlock) -> [Parameter] {
        parameters.filter { $0.isTrained && block.weights.words.contains($0.weights.words.lowerBound) }
    }
}
