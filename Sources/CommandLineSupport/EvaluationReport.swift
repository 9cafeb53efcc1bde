public import Formats
public import Trainer

extension EvaluationOutcome {
    /// The results by the sets' names, for programs.
    public var json: JSON {
        get throws {
            var object = JSONObject()
            if !sets.isEmpty { object["sets"] = try sets.json }
            if !tasks.isEmpty {
                var results = JSONObject()
                for (name, result) in choices { results[name] = try JSON(encoding: result) }
                object["choices"] = .object(results)
            }
            if !completions.isEmpty {
                var results = JSONObject()
                for (name, result) in completed { results[name] = try JSON(encoding: result) }
                object["completions"] = .object(results)
            }
            return .object(object)
        }
    }

    /// The results as tables, those of the parent on the same sets beside them.
    ///
    /// Of the parent's text it has bits per byte alone: losses are of a model's own tokens.
    public func tables(beside parent: EvaluationOutcome?) -> String {
        var tables: [String] = []
        if !sets.isEmpty { tables.append(setTable(parent?.sets)) }
        if !tasks.isEmpty { tables.append(choiceTable(parent?.choices)) }
        if !completions.isEmpty { tables.append(completionTable(parent?.completed)) }
        return tables.joined(separator: "\n\n")
    }

    private func setTable(_ parent: [(name: String, result: EvaluationResult)]?) -> String {
        guard let parent else { return sets.table }
        var table = Table(evaluations: ["set", "parent's"])
        for (own, other) in zip(sets, parent) {
            table.add([own.name, other.result.columns[0]] + own.result.columns)
        }
        return table.description
    }

    private func choiceTable(_ parent: [(name: String, result: ChoiceResult)]?) -> String {
        let names = ["items", "acc", "±", "acc_norm"] + (parent == nil ? [] : ["parent's acc", "acc_norm"])
        var table = Table(columns: [("choices", .left)] + names.map { ($0, .right) })
        for (index, (name, result)) in choices.enumerated() {
            let other = parent.map { $0[index].result }
            let figures =
                [result.accuracy, result.standardError, result.normalizedAccuracy]
                + (other.map { [$0.accuracy, $0.normalizedAccuracy] } ?? [])
            table.add(
                [name, Units.grouped(result.items)]
                    + figures.map { $0.isFinite ? Units.fixed($0, digits: 4) : "–" })
        }
        return table.description
    }

    private func completionTable(_ parent: [(name: String, result: CompletionResult)]?) -> String {
        let names = ["items", "exact"] + (parent == nil ? [] : ["parent's"])
        var table = Table(columns: [("completions", .left)] + names.map { ($0, .right) })
        for (index, (name, result)) in completed.enumerated() {
            let figures = [result.exact] + (parent.map { [$0[index].result.exact] } ?? [])
            table.add(
                [name, Units.grouped(result.items)]
                    + figures.map { $0.isFinite ? Units.fixed($0, digits: 4) : "–" })
        }
        return table.description
    }

    /// What was made of each question and text, a line of JSON each, with what the parent made of it.
    ///
    /// - Parameter parent: the parent's outcome of the same sets.
    /// - Returns: the lines.
    public func items(beside parent: EvaluationOutcome?) -> [UInt8] {
        var lines: [UInt8] = []
        for (index, task) in tasks.enumerated() {
            for (place, decision) in task.decisions.enumerated() {
                var line: JSON = [
                    "set": .string(task.name), "line": JSON(decision.line), "answer": JSON(decision.answer),
                ]
                for (key, value) in decision.figures { line[key] = value }
                if let other = parent?.tasks[index].decisions[place] {
                    line["parent"] = .object(other.figures)
                }
                lines += line.serialized(indent: nil) + [UInt8(ascii: "\n")]
            }
        }
        for (index, set) in completions.enumerated() {
            for (place, completion) in set.texts.enumerated() {
                var line: JSON = [
                    "set": .string(set.name), "line": JSON(completion.line),
                    "expected": .string(completion.expected),
                ]
                for (key, value) in completion.figures { line[key] = value }
                if let other = parent?.completions[index].texts[place] {
                    line["parent"] = .object(other.figures)
                }
                lines += line.serialized(indent: nil) + [UInt8(ascii: "\n")]
            }
        }
        return lines
    }
}

extension Completion {
    fileprivate var figures: JSONObject { ["text": .string(text), "exact": .bool(isExact)] }
}

extension ChoiceDecision {
    fileprivate var figures: JSONObject {
        [
            "choice": JSON(chosen), "choice_norm": JSON(chosenByCharacter),
            "log_likelihoods": .array(logLikelihoods.map { JSON($0) }),
        ]
    }
}
