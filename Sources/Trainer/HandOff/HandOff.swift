internal import Formats

/// Hands a stage of a ``RunFolder`` to a framework: its configuration and its data, what it can't do, and what the trainer
/// itself finds on the first step's sequences, which a check compares before anything is started.
///
/// | File | What it holds |
/// | --- | --- |
/// | the framework's own | its configuration, what is given up at its top, and its data |
/// | `plan.json` | the numbers that our programs among them read |
/// | `planned.py` | reads the plan and the sequences |
/// | `golden.safetensors` | ``GoldenValues`` |
/// | `check.py`, `launch.sh` | compares model and data with these; does so and starts the framework |
/// | `README.md` | what there is and what is given up |
public struct HandOff {
    /// The file by which a hand-off is known.
    private static let recordName = "plan.json"

    private let plan: HandOffPlan
    private let model: PretrainedModel
    private let files: [ClusterJob.File]
    /// The run folder.
    private let run: String

    /// A stage of a run folder, of which every file is checked.
    ///
    /// - Parameters:
    ///   - path: the folder `OUT.cluster`.
    ///   - target: the framework.
    ///   - stage: which stage, from 1.
    ///   - given: what is given up on purpose.
    ///   - model: the model's folder, where it is not the one that the job names; for a stage after the first it is what the
    ///     stages before have made.
    /// - Throws: a ``UserFacingError`` when the run asks for what the framework can't do and it isn't given up, or a file is
    ///   not what was planned.
    public init(
        _ path: String, to target: HandOffTarget, stage: Int = 1, without given: Set<HandOffGap> = [],
        model: String? = nil
    ) throws {
        run = path
        let folder = try RunFolder.open(path)
        let job = folder.job
        guard (1...job.stages.count).contains(stage) else {
            throw UserFacingError(
                .request,
                "the run has \(job.stages.count) stages, and --stage is \(stage); give 1 to \(job.stages.count)"
            )
        }
        guard stage == 1 || model != nil else {
            throw UserFacingError(
                .request,
                "stage \(stage) begins with what the stages before it have made; name that folder with --model"
            )
        }
        self.model = try PretrainedModel.open(model ?? job.model.path)
        if stage == 1 {
            try job.check(filesIn: self.model.checkpoint.path)
            files = job.model.files
        } else {
            files = try ClusterJob.files(of: self.model)
        }
        plan = try HandOffPlan(folder, to: target, stage: stage - 1, model: self.model)
        let missing = plan.gaps.filter { !given.contains($0.gap) }
        guard missing.isEmpty else {
            throw UserFacingError(
                .unsupported,
                """
                \(plan.tool.title) can't do all of what the run asks for; --without \
                \(plan.gaps.map(\.gap.rawValue).joined(separator: ",")) goes on without it: \
                \(plan.gaps.map { "\($0.gap.rawValue): \($0.text)" }.joined(separator: "; "))
                """)
        }
    }

    /// What the run asks for and is given up, a sentence each.
    public var givenUp: [(name: String, text: String)] { plan.gaps.map { ($0.gap.rawValue, $0.text) } }

    /// What else is not done, a sentence each.
    public var remarks: [String] { plan.remarks }

    /// The package that it was written for.
    public var package: String { plan.tool.package }

    /// How many sequences the first step has.
    public var sequencesOfFirstStep: Int { plan.sequencesPerStep }

    /// Where the folder goes when nobody says where: beside the run.
    public static func folder(of run: String, to target: HandOffTarget) -> String {
        let path = Path.absolute(run)
        let name = path.hasSuffix(".cluster") ? String(path.dropLast(8)) : path
        return "\(name)-\(target.rawValue)"
    }

    /// Writes the folder; whole or not at all.
    ///
    /// - Parameters:
    ///   - output: the folder.
    ///   - golden: how many of the first step's sequences the trainer computes; nil for all.
    ///   - force: whether a folder that is there is replaced.
    ///   - threads: how many compute.
    ///   - isCancelled: asked before each sequence; true stops.
    ///   - progress: told how many sequences are computed, of all.
    /// - Returns: the mean loss that the first step should have, in nats; nil where not all of its sequences were computed.
    /// - Throws: a ``UserFacingError`` when a file can't be written, the model is too large, or it was stopped.
    @discardableResult public func write(
        to output: String, golden: Int? = nil, force: Bool = false, threads: Int,
        isCancelled: () -> Bool = { false }, progress: (Int, Int) -> Void = { _, _ in }
    ) throws -> Double? {
        let path = Path.absolute(output)
        guard force || !FileSystem.exists(path) else {
            throw UserFacingError(.request, "\(path) is there already; give another -o, or --force")
        }
        if let source = TextPaths.source(in: path, among: [run, self.model.checkpoint.path]) {
            throw UserFacingError.isSource(path: path, source: source)
        }
        if FileSystem.kind(of: path) == .folder {
            let names = try FileSystem.names(path)
            guard names.isEmpty || names.contains(Self.recordName) else {
                throw UserFacingError(
                    .request,
                    "\(path) is not replaced: it holds files but no \(Self.recordName) of a hand-off; remove it yourself, or give another -o"
                )
            }
        }
        let count = min(golden ?? plan.sequencesPerStep, plan.sequencesPerStep)
        let partial = path + ".partial"
        try FileSystem.remove(partial)
        try FileSystem.create(partial)
        do {
            let data = try plan.tool.writeData(of: plan, to: partial)
            let values = try GoldenValues(
                plan, model, count: count, threads: threads, isCancelled: isCancelled, progress: progress)
            try values.write(to: Path.join(partial, "golden.safetensors"))
            let loss = count == plan.sequencesPerStep ? values.loss : nil
            var sums: [JSON] = []
            for name in data + ["golden.safetensors"] {
                let digest = try FileDigest.sha256(InputFile(path: Path.join(partial, name)))
                sums.append(["name": .string(name), "sha256": .string(digest)])
            }
            let record = try record(data: sums, loss: loss).serialized() + [UInt8(ascii: "\n")]
            var texts = plan.tool.files(of: plan)
            texts += [
                ("check.py", plan.tool.text(PackageResources.check_py)), ("launch.sh", launcher),
                ("README.md", readme(data: data, loss: loss, golden: count)),
                (Self.recordName, String(decoding: record, as: UTF8.self)),
            ]
            for (name, text) in texts {
                try AtomicFile(path: Path.join(partial, name)).publish(Array(text.utf8))
            }
            if force { try FileSystem.remove(path) }
            try FileSystem.rename(partial, to: path)
            return loss
        } catch {
            try? FileSystem.remove(partial)
            throw error
        }
    }

    /// What `plan.json` says: only what a program reads.
    private func record(data: [JSON], loss: Double?) throws -> JSON {
        let (job, stage) = (plan.job, plan.stage)
        let optimizer: JSON = [
            "rate": JSON(stage.optimizer.rate), "beta1": JSON(stage.optimizer.beta1),
            "beta2": JSON(stage.optimizer.beta2), "epsilon": JSON(stage.optimizer.epsilon),
            "clip": stage.optimizer.clip.map { JSON($0) } ?? .null,
        ]
        let groups: [JSON] = plan.moves.groups.map { move, names in
            [
                "pattern": .string(NamePattern.matching(names)), "rate": JSON(move.rate),
                "decay": JSON(move.decay),
            ]
        }
        let frozen = plan.moves.frozen
        let course: JSON =
            plan.schedule.map { course in
                [
                    "style": .string(course.style), "warmup": JSON(course.warmup),
                    "first": JSON(course.first),
                    "steps": JSON(course.steps), "least": JSON(course.least),
                    "end_steps": JSON(course.endSteps),
                    "end": .string((course.end ?? .linear).rawValue),
                ]
            } ?? .null
        return [
            "to": .string(plan.target.rawValue), "model": .string(plan.model),
            "files": .array(files.map { ["name": .string($0.name), "sha256": .string($0.sha256)] }),
            "data": .array(data), "steps": JSON(stage.steps), "sequences": JSON(plan.sequencesPerStep),
            "length": JSON(stage.length), "counts_from_row": .bool(stage.countsFromRow),
            "dtype": .string(job.dtype.rawValue), "recompute": .string(plan.stage.recompute.rawValue),
            "checkpoint_every": JSON(job.rules.checkpointEvery), "optimizer": optimizer,
            "groups": .array(groups),
            "frozen": .array(frozen.isEmpty ? [] : [.string(NamePattern.matching(frozen))]),
            "schedule": course, "factors": .array(plan.factors.map { JSON($0) }),
            "first_loss": loss.map { JSON($0) } ?? .null,
        ]
    }

    private var launcher: String {
        """
        #!/bin/sh
        # Compares the model and the data with what the trainer found, then starts \(plan.tool.title).
        # MODEL: the model's folder, where it is another one here. PROCESSES: how many GPUs (default: all of this machine).
        set -eu
        cd "$(dirname "$0")"
        default=\(YAML.text(plan.model).replacing("''", with: #"'\''"#))
        export MODEL="${MODEL:-$default}" PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
        processes="${PROCESSES:-$(nvidia-smi --list-gpus | wc -l)}"
        if [ "$processes" -lt 1 ] || [ $((\(plan.sequencesPerStep) % processes)) -ne 0 ]; then
            echo "launch: $processes processes can't divide the \(plan.sequencesPerStep) sequences of a step; set PROCESSES to a number that does" >&2
            exit 64
        fi
        python3 check.py --model "$MODEL"
        \(plan.tool.command(of: plan))

        """
    }

    private func readme(data: [String], loss: Double?, golden: Int) -> String {
        let stage = plan.stage
        var lines = [
            "# Run \(plan.job.run) for \(plan.tool.title)", "",
            "    pip install '\(plan.tool.package)'", "    MODEL=/path/to/the/model sh launch.sh", "",
            """
            \(Units.grouped(stage.steps)) steps of \(plan.sequencesPerStep) sequences of \(Units.grouped(stage.length)) tokens, \
            in the order of the plan. `launch.sh` runs `check.py` first, which ends the launch where the model or the data is \
            not what was handed off.
            """,
        ]
        let first = loss.map { "The first step should show a loss of \(Units.fixed($0, digits: 4))." }
        lines += [
            "",
            first
                ?? "The trainer has computed \(golden) of the first step's \(plan.sequencesPerStep) sequences.",
        ]
        if !plan.gaps.isEmpty {
            lines += ["", "## Given up", ""] + plan.gaps.map { "- `\($0.gap.rawValue)`: \($0.text)." }
        }
        lines += ["", "## Not done either", ""] + plan.remarks.map { "- \($0)." }
        let names =
            data + plan.tool.files(of: plan).map(\.name) + [
                Self.recordName, "golden.safetensors", "check.py",
            ]
        lines += ["", "## Files", "", names.map { "`\($0)`" }.joined(separator: ", ") + "."]
        return (lines + ["", plan.tool.result, ""]).joined(separator: "\n")
    }
}
