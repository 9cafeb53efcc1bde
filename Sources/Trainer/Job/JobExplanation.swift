public import Formats

/// A job as it was settled: every parameter, the value that counts, and where that came from.
///
/// A value that is the default counts as such, also where somebody typed it.
public struct JobExplanation: Sendable, Equatable {
    /// A parameter.
    public struct Row: Codable, Sendable, Equatable {
        /// What the stage is called that it is of; nil where it is so in the whole run.
        public let stage: String?
        /// The parameter's name, as a recipe has it.
        public let name: String
        /// Its value as a recipe would have it; null for none, and where only missing files would tell it.
        public let value: JSON
        /// Where the value came from.
        public let origin: ValueOrigin
        /// Why it is what it is; nil where the origin says it.
        public let reason: String?
    }

    /// What is so in the whole run, in the order of the parameters, and then what is each stage's own.
    public let rows: [Row]

    /// Explains a job that is ready to begin.
    public init(of prepared: PreparedJob) {
        var common: [Row] = []
        var own = prepared.stages.map { _ in [Row]() }
        let defaults = TrainingJob.defaults
        for name in Self.names(of: prepared.job) {
            let found = prepared.stages.indices.map { Self.row(name, ofStage: $0, of: prepared, defaults) }
            if found.dropFirst().allSatisfy({ $0.isLike(found[0]) }) {
                common.append(found[0].of(stage: nil))
            } else {
                for (index, row) in found.enumerated() { own[index].append(row) }
            }
        }
        rows = common + own.flatMap(\.self)
    }

    /// The parameters that are told: those of the job, and the stages' own but for the name, which every row has.
    private static func names(of job: TrainingJob) -> [String] {
        let all = TrainingJob.parametersBesideStages.map(\.name)
        guard !job.stages.isEmpty else { return all }
        return all + TrainingStage.parameterList.map(\.name).filter { $0 != "name" && !all.contains($0) }
    }

    private static func row(
        _ name: String, ofStage index: Int, of prepared: PreparedJob, _ defaults: JSONObject
    ) -> Row {
        let stage = prepared.stages[index]
        let own = prepared.job.stages.indices.contains(index) ? prepared.job.stages[index].parameters : [:]
        if let settled = stage.settled.entries[name] ?? prepared.settled.entries[name] {
            return Row(
                stage: stage.plan.title, name: name, value: settled.value, origin: settled.origin,
                reason: settled.reason)
        }
        let value = own[name] ?? stage.job.parameters[name] ?? .null
        let origin: ValueOrigin =
            own[name] != nil ? .stage : value == defaults[name] ?? .null ? .default : .given
        return Row(stage: stage.plan.title, name: name, value: value, origin: origin, reason: nil)
    }
}

extension JobExplanation.Row {
    /// Whether another stage's row says the same.
    fileprivate func isLike(_ other: Self) -> Bool { of(stage: nil) == other.of(stage: nil) }

    /// The same row of another stage.
    fileprivate func of(stage: String?) -> Self {
        Self(stage: stage, name: name, value: value, origin: origin, reason: reason)
    }
}
