internal import Formats
internal import Models
internal import OrderedCollections

/// A stage of a run in the words that all frameworks share, and what of it one of them can't do.
struct HandOffPlan {
    let target: HandOffTarget
    /// The whole run, and the stage of it that is handed over, from 0.
    let job: ClusterJob, index: Int
    /// The model's folder, and config.json.
    let model: String, configuration: JSON
    /// The share of the peak rate at each step.
    let factors: [Double]
    /// The sequences in the order in which steps take them.
    let sequences: PlannedSequences
    /// What is done to each of the framework's parameters.
    let moves: ParameterMoves
    /// The rate's course in Megatron's words, where the framework takes no other.
    let schedule: MegatronSchedule?
    /// What the run asks for and the framework can't do, a sentence each.
    private(set) var gaps: [(gap: HandOffGap, text: String)] = []

    var tool: any HandOffTool { target.tool }
    var stage: ClusterJob.Stage { job.stages[index] }
    /// Sequences of a step.
    var sequencesPerStep: Int { stage.batch * stage.accumulate }
    /// Whether layers are computed again in the backward pass.
    var recomputesLayers: Bool { stage.recompute == .layer }

    /// A course may be as far from the planned one, as a share of the peak, before that must be said to be given up.
    static let tolerance = 0.01

    /// A stage of a run, from 0, which begins with a model.
    ///
    /// - Throws: ``UserFacingError`` when the framework doesn't know the model, or a file can't be read.
    init(
        _ folder: RunFolder, to target: HandOffTarget, stage index: Int, model: PretrainedModel
    ) throws(UserFacingError) {
        let (job, tool) = (folder.job, target.tool)
        let stage = job.stages[index]
        (self.target, self.job, self.index) = (target, job, index)
        let unknown = [
            ("--seam ramp", stage.ramp != nil), ("--from", job.beginning != nil),
            ("--teacher", stage.teaching != nil), ("--distil-rows", stage.distillation != nil),
            ("--rope-theta", stage.configuration != Configuration.fileName),
        ]
        if let name = unknown.first(where: \.1)?.0 {
            throw UserFacingError(
                .unsupported,
                "the run has \(name), which no framework does; plan one without it, or use --on torchrun")
        }
        self.model = Path.absolute(model.checkpoint.path)
        configuration = try JSON.read(path: Path.join(folder.path, Configuration.fileName))
        try tool.check(configuration)
        if model.architecture.layers.contains(where: { $0.attention.positionBias != nil }) {
            throw UserFacingError(
                .unsupported,
                "the model's positions are biases of its scores (ALiBi), by which transformers does not tell documents apart"
            )
        }
        try tool.check(model.architecture, length: stage.length)
        factors = try folder.factors(of: index)
        sequences = try PlannedSequences(path: Path.join(folder.path, stage.sequences), length: stage.length)
        var unnamed: String?
        moves = ParameterMoves(model.layout.parameters.map { ($0.name, stage.tensors[$0.name] ?? []) }) {
            name in
            // Transformers has a name of its own for the head, whatever the files call it.
            guard let own = tool.parameter(for: name == job.model.head ? "lm_head.weight" : name) else {
                unnamed = unnamed ?? name
                return name
            }
            return own
        }
        if let unnamed {
            throw UserFacingError(
                .unsupported,
                "what \(tool.title) calls the tensor '\(unnamed)' is not known; hand the run to automodel or axolotl"
            )
        }
        switch tool.schedule {
        case .table: schedule = nil
        case .curves:
            let (nearest, deviation, step) = MegatronSchedule.nearest(to: factors)
            schedule = nearest
            if deviation > Self.tolerance {
                gaps.append(
                    (
                        .schedule,
                        """
                        the rate's course has no like in \(tool.title); the nearest, \(nearest.style), is off by \
                        \(Units.fixed(100 * deviation, digits: 1)) % of the peak at step \(step + 1)
                        """
                    ))
            }
        }
        findGaps()
    }

    private mutating func findGaps() {
        let title = tool.title
        if job.stages.count > 1 {
            gaps.append(
                (
                    .stages,
                    """
                    the run has \(job.stages.count) stages, and \(title) takes one: stage \(index + 1) alone is handed over; \
                    moments do not go on from one to the next
                    """
                ))
        }
        let texts: [(HandOffGap, String)] = [
            (
                .frozenRows,
                "\(title) moves whole tensors: rows that should keep their bytes are trained with the others of"
            ),
            (
                .rowRates,
                "\(title) moves whole tensors: all rows get the highest of the rates that are planned for"
            ),
            (
                .tensorRates,
                "\(title) has them in one parameter, which gets the highest of the rates that are planned for"
            ),
        ]
        for (gap, text) in texts {
            guard let tensors = moves.lost[gap] else { continue }
            let more = tensors.count > 4 ? " and \(tensors.count - 4) more" : ""
            gaps.append((gap, "\(text) \(tensors.prefix(4).joined(separator: ", "))\(more)"))
        }
        gaps.sort {
            HandOffGap.allCases.firstIndex(of: $0.gap) ?? 0 < HandOffGap.allCases.firstIndex(of: $1.gap) ?? 0
        }
    }

    /// What is lost or otherwise without moving the weights otherwise, a sentence each.
    var remarks: [String] {
        var remarks: [String] = []
        if stage.guarding.policy != .off {
            remarks.append(
                "a step whose loss or gradient is out of bounds is not left out, nor does it end the run")
        }
        if job.rules.patience != nil || job.rules.untilHealed {
            remarks.append("the run does not end before its last step, whatever the sets are")
        }
        if job.rules.result != .last {
            remarks.append("the result is what the last step leaves, not '\(job.rules.result.rawValue)'")
        }
        if !job.evaluations.isEmpty {
            remarks.append(
                "the sets \(job.evaluations.map(\.name).joined(separator: ", ")) are not evaluated in between; trainer eval does it afterwards"
            )
        }
        if stage.storage != nil { remarks.append("moments and gradients are kept as the framework does") }
        remarks.append("how many tokens of which source were shown is not written down")
        return remarks + tool.remarks(on: self)
    }

    /// The top of the configuration: what is given up, as comments.
    var head: String {
        var lines = [
            "Written by \(job.tool) hand-off for \(tool.package).",
            "Run \(job.run)\(job.stages.count > 1 ? ", stage \(index + 1) of \(job.stages.count)" : "").",
        ]
        if !gaps.isEmpty {
            lines += ["", "GIVEN UP, for \(tool.title) can't do it:"]
            lines += gaps.map { "  \($0.gap.rawValue): \($0.text)." }
        }
        lines += ["", "Not done either:"] + remarks.map { "  \($0)." }
        return lines.map { $0.isEmpty ? "#\n" : "# \($0)\n" }.joined() + "\n"
    }

    /// Keys of config.json that leave values out at random, which the trainer does not do.
    var dropouts: [String] {
        (configuration.object ?? [:]).compactMap { key, value in
            (key.contains("dropout") || key.hasSuffix("pdrop")) && (value.double ?? 0) > 0 ? key : nil
        }
    }
}

extension RunFolder {
    /// The share of the peak rate at each step of a stage.
    func factors(of stage: Int) throws(UserFacingError) -> [Double] {
        let path = Path.join(path, "steps.jsonl")
        var factors: [Double] = []
        for line in try InputFile(path: path).bytes().split(separator: UInt8(ascii: "\n")) {
            let step = try JSON(parsing: Array(line), file: path)
            if step["stage"]?.int == stage, let factor = step["factor"]?.double { factors.append(factor) }
        }
        guard factors.count == job.stages[stage].steps else {
            throw UserFacingError(.inconsistent, "\(path) does not have all steps; plan the job again")
        }
        return factors
    }
}
