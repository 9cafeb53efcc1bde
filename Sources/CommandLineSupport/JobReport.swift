public import Formats
public import Trainer

extension PreparedJob {
    /// What a run will do and take, for people.
    ///
    /// - Parameter computesHere: whether the engine of this program computes, of whose memory it then tells.
    /// - Returns: a table.
    public func table(computesHere: Bool = true) -> String {
        var table = Table(columns: [("", .left), ("", .left)])
        table.add("model", model.checkpoint.path)
        table.add("output", output.output)
        let (all, trained) = (model.layout.parameterCount, trainedParameterCount)
        table.add(
            "parameters",
            Units.grouped(all) + (trained == all ? "" : ", of which \(Units.grouped(trained)) are trained"))
        for stage in stages { stage.add(to: &table) }
        for file in missingFiles { table.add("missing", file) }
        for source in sources { table.add("data", source.line) }
        if let teacher {
            table.add(
                "teacher",
                "\(teacher.path), which has \(Units.grouped(teacher.sharedTokens)) of the model's \(Units.grouped(teacher.modelTokens)) tokens"
            )
        }
        if let end = stages.lazy.compactMap(\.plan.documents?.end).first {
            table.add("end of text", String(end))
        }
        let available = MemoryNeed.available.map { " of \(Units.bytes($0)) available" } ?? ""
        if computesHere {
            let largest = largestStage.plan.title.map { " in the stage '\($0)'" } ?? ""
            table.add(
                "memory",
                "\(Units.bytes(memory.total))\(largest)\(available): "
                    + memory.parts.map { "\($0.name) \(Units.bytes($0.bytes))" }.joined(separator: ", "))
        }
        let free = freeRoom.map { " of \(Units.bytes($0)) free" } ?? ""
        table.add(
            "disk",
            """
            \(Units.bytes(roomNeeded))\(free): the result \(Units.bytes(output.byteCount)), \
            a checkpoint \(Units.bytes(checkpointBytes))
            """)
        for left in output.skippedFiles { table.add("left behind", left.description) }
        return table.description
    }

    /// The same for programs; null stands for the memory of this program's engine where that does not compute.
    public func json(computesHere: Bool = true) -> JSON {
        [
            "output": .string(output.output), "parameters": JSON(model.layout.parameterCount),
            "trained_parameters": JSON(trainedParameterCount),
            "steps": isOpenEnded ? .null : JSON(steps),
            "tokens": missingFiles.isEmpty ? JSON(sources.reduce(0) { $0 + $1.shown }) : .null,
            "sources": sources.json, "missing": .array(missingFiles.map { .string($0) }),
            "memory_bytes": computesHere ? JSON(memory.total) : .null,
            "data_memory_bytes": computesHere ? JSON(memory.data) : .null,
            "available_memory_bytes": (computesHere ? MemoryNeed.available : nil).map { JSON($0) } ?? .null,
            "output_bytes": JSON(output.byteCount), "checkpoint_bytes": JSON(checkpointBytes),
            "disk_bytes": JSON(roomNeeded), "available_disk_bytes": freeRoom.map { JSON($0) } ?? .null,
            "left_behind": output.skippedFiles.json,
        ]
    }
}

extension PreparedJob {
    /// How long its stages will take, as ``PreparedJob/expectedStageSeconds()`` has it, for people.
    public func times(_ seconds: [Double?]) -> String {
        func words(_ seconds: Double?) -> String {
            seconds.map { "about \(Units.duration(seconds: $0))" } ?? "as long as the missing files make it"
        }
        var table = Table(columns: [("", .left), ("", .left)])
        let all = seconds.contains(nil) ? nil : seconds.reduce(0) { $0 + ($1 ?? 0) }
        table.add("time", "\(words(all)) on \(options.threads) threads of this machine, evaluations left out")
        guard stages.count > 1 else { return table.description }
        for (stage, seconds) in zip(stages, seconds) {
            table.add("", "\(stage.plan.title ?? ""): \(words(seconds))")
        }
        return table.description
    }

    /// What ``PreparedJob/json(computesHere:)`` has, every parameter, and what the run takes by its parts, for programs.
    ///
    /// - Parameters:
    ///   - explanation: the parameters.
    ///   - seconds: how long each stage takes; nil where the engine of this program does not compute.
    /// - Returns: an object.
    /// - Throws: what stands in the way of encoding a parameter.
    public func json(_ explanation: JobExplanation, _ seconds: [Double?]?) throws -> JSON {
        var object = json(computesHere: seconds != nil)
        object["job"] = try JSON(encoding: explanation.rows)
        if let seconds {
            object["memory"] = .object(
                memory.parts.reduce(into: JSONObject()) { $0[$1.name] = JSON($1.bytes) })
            object["memory_stage"] = largestStage.plan.title.map { .string($0) } ?? .null
            object["threads"] = JSON(options.threads)
            object["expected_seconds"] =
                seconds.contains(nil) ? .null : JSON(seconds.reduce(0) { $0 + ($1 ?? 0) })
        }
        object["stages"] = .array(
            stages.enumerated().map { index, stage in
                [
                    "stage": stage.plan.title.map { .string($0) } ?? .null,
                    "steps": stage.isOpenEnded ? .null : JSON(stage.plan.steps),
                    "expected_seconds": seconds?[index].map { JSON($0) } ?? .null,
                ]
            })
        return object
    }
}

extension MemoryNeed {
    /// What it is made of.
    fileprivate var parts: [(name: String, bytes: Int)] {
        [
            ("weights", weights), ("gradients", gradients), ("moments", moments),
            ("activations", activations), ("data", data), ("program", program),
        ] + (teacher > 0 ? [("teacher", teacher)] : [])
    }
}

extension JobExplanation {
    /// Every parameter, what it is and why, for people; a stage's own under its name.
    public var table: String {
        var table = Table(
            columns: [("parameter", .left), ("value", .left), ("from", .left), ("why", .left)])
        var stage: String?
        for row in rows {
            if row.stage != stage, let title = row.stage { table.add("stage \(title)") }
            stage = row.stage
            table.add(row.name, row.value.shown, row.origin.rawValue, row.reason ?? "")
        }
        return table.description
    }
}

extension JSON {
    /// A parameter's value as a table shows it.
    fileprivate var shown: String {
        if isNull { return "–" }
        if let text = string { return text }
        if let flag = bool { return flag ? "yes" : "no" }
        if let list = array { return list.isEmpty ? "–" : list.map(\.shown).joined(separator: ", ") }
        if let file = self["file"]?.string {
            let name = self["name"]?.string.map { $0 == file ? "" : "\($0)=" } ?? ""
            let weight = self["weight"].map { $0.double == 1 ? "" : ":\($0.shown)" } ?? ""
            return name + file + weight
        }
        // A fifth of 3e-4 is 6e-05, and not 5.9999999999999995e-05.
        if let number = double, number != number.rounded() { return "\(Float(number))" }
        return text
    }
}

extension PreparedStage {
    /// What the stage does; under its title where there is one.
    fileprivate func add(to table: inout Table) {
        if let title = plan.title {
            table.add("stage", "\(title): \(Units.grouped(layout.trainedParameterCount)) parameters")
        }
        table.add(
            "steps",
            "\(isOpenEnded ? "as many as the data has," : "\(plan.steps)") of \(plan.batch) × \(plan.accumulate) "
                + "sequences of \(plan.length) tokens")
        if let rows = plan.rows {
            let found = plan.snippets.map {
                "\(Units.grouped($0.found)) of \(Units.grouped($0.tokens)) new tokens, in \(Units.grouped($0.snippets)) snippets"
            }
            table.add(
                "distilled",
                "\(found ?? "new tokens, in snippets") of at most \(rows.length) tokens, \(rows.batch) a step, compared behind layer \(rows.layer ?? 0) of \(layerCount)"
            )
        }
        if let teaching = plan.teaching {
            table.add(
                "taught",
                "\(teaching.weight) × T² KL, T \(teaching.temperature), on \(teaching.text == .all ? "all text" : "the replay")"
            )
        }
        if let hidden = plan.teaching?.hidden {
            let layers = zip(hidden.own, hidden.parents).map { "\($0) (the teacher's \($1))" }
            table.add(
                "",
                "\(hidden.weight) × MSE of hidden states behind layer \(layers.joined(separator: ", ")) in the first \(Units.grouped(hidden.steps)) steps"
            )
        }
        for source in infilled where source.psm + source.spm > 0 {
            table.add(
                "infilling",
                "\(source.name): \(Units.grouped(source.psm)) PSM and \(Units.grouped(source.spm)) SPM of "
                    + "\(Units.grouped(source.documents)) documents")
        }
        for row in groups.table(of: model.layout) where !groups.rules.isEmpty {
            let how = [
                row.isFrozen ? "frozen" : nil, row.rate.map { "rate × \($0)" },
                row.decay.map { "decay \($0)" },
            ]
            table.add(
                "group \(row.name)",
                "\(Units.grouped(row.parameters)) numbers in \(row.tensors) tensors, "
                    + (how.contains { $0 != nil }
                        ? how.compactMap(\.self).joined(separator: ", ") : "as usual"))
        }
    }
}

extension TrainingOutcome {
    /// Numbers that the model's type could not hold, a sentence each.
    public var warnings: [String] {
        (taught?.taught == 0
            ? [
                "the teacher has taught nothing: there was no target that it has, behind text that it can read"
            ] : [])
            + overflows.map {
                "\($0.count) numbers of \($0.tensor) are too large for its type and became infinite"
            }
    }

    /// What a run has done, for people.
    public func lines(output: String) -> [String] {
        var lines = sources.map(\.line)
        if !after.isEmpty {
            var table = Table(evaluations: ["set", "when"])
            for (when, sets) in [("before", before), ("after", after)] {
                for set in sets { table.add([set.name, when] + set.result.columns) }
            }
            if case .measured(let model, let sets) = parent {
                for set in sets {
                    // Losses are of a model's own tokens.
                    table.add([set.name, "parent", set.result.columns[0]])
                }
                lines.append("parent: \(model)")
            }
            lines.append(table.description)
        }
        if let taught {
            lines.append(
                "teacher: \(Units.grouped(taught.taught)) of \(Units.grouped(taught.targets)) targets were taught"
            )
        }
        for rows in rows {
            lines.append(
                "rows: \(Units.grouped(rows.found)) of \(Units.grouped(rows.tokens)) new tokens were distilled from \(Units.grouped(rows.snippets)) snippets"
            )
        }
        for (name, share) in healed {
            let percent = share.percent.map { "\(Units.fixed($0, digits: 1)) % healed" }
            let worse =
                share.percentWorse.map { ", and needs \(Units.fixed($0, digits: 1)) % more now" } ?? ""
            lines.append("\(name): \(percent ?? "began no worse than the parent" + worse)")
        }
        return lines + [
            "\(output): healed in \(Units.grouped(step)) \(step == 1 ? "step" : "steps"), \(Units.count(tokens)) tokens"
        ]
    }

    /// The same for programs.
    public func json(output: String) throws -> JSON {
        [
            "output": .string(output), "steps": JSON(step), "tokens": JSON(tokens),
            "loss": try JSON(encoding: last?.loss), "sources": sources.json,
            "before": try before.json, "after": try after.json, "parent": try parentJSON,
            "healed": .object(
                healed.reduce(into: JSONObject()) { $0[$1.name] = $1.share.percent.map { JSON($0) } ?? .null }
            ),
            "drift": try JSON(encoding: drift), "taught": try JSON(encoding: taught),
            "distilled_rows": .array(rows.map(\.counts)),
        ]
    }
}

extension TrainingOutcome {
    fileprivate var parentJSON: JSON {
        get throws {
            guard case .measured(let model, let sets) = parent else { return .null }
            return ["model": .string(model), "sets": try sets.json]
        }
    }
}

extension [(name: String, result: EvaluationResult)] {
    /// The results by the sets' names.
    public var json: JSON {
        get throws {
            var object = JSONObject()
            for (name, result) in self { object[name] = try JSON(encoding: result) }
            return .object(object)
        }
    }

    /// The results as a table.
    public var table: String {
        var table = Table(evaluations: ["set"])
        for (name, result) in self { table.add([name] + result.columns) }
        return table.description
    }
}

extension [SourceProgress] {
    fileprivate var json: JSON { (try? JSON(encoding: figures)) ?? .null }
}

extension SourceProgress {
    /// What was, or will be, shown of it.
    fileprivate var line: String {
        """
        \(name): \(Units.grouped(shown)) tokens, \(Units.fixed(passes, digits: 2)) passes, \
        \(Units.fixed(100 * coverage, digits: 1)) % of its tokens\(syntheticWords)
        """
    }

    private var syntheticWords: String {
        synthetic.map { ", \(Units.grouped($0)) of those shown synthetic" } ?? ""
    }
}

extension Table {
    /// A table of evaluations, headed by these columns and the figures'.
    public init(evaluations first: [String]) {
        self.init(
            columns: first.map { ($0, .left) }
                + ["bits per byte", "loss", "perplexity", "tokens", "bytes", "end loss", "P(end)"].map {
                    ($0, .right)
                })
    }
}

extension EvaluationResult {
    /// The figures as a table shows them.
    public var columns: [String] {
        [
            bitsPerByte.map { Units.fixed($0, digits: 4) } ?? "–", Units.fixed(loss, digits: 4),
            Units.fixed(perplexity, digits: 2), Units.grouped(tokens), bytes.map(Units.grouped) ?? "–",
            endOfText.map { Units.fixed($0.loss, digits: 2) } ?? "–",
            endOfText.map { Units.fixed($0.probability, digits: 3) } ?? "–",
        ]
    }
}
