internal import Formats

/// How much training a deeper model is given, beside what published results took.
struct HealingBudget {
    /// Parameters that the result has beyond the source's.
    let added: Int
    /// Tokens of training that are planned; nil where nobody said.
    let tokens: Int?

    init(of source: Checkpoint, _ result: Checkpoint, tokens: Int?) {
        added = max(result.parameterCount - source.parameterCount, 0)
        self.tokens = tokens
    }

    /// Below so many tokens an added parameter, copies trained whole have not paid: see ``published``.
    static let least = 20.0

    /// What is known, in tokens of training an added parameter.
    static let published =
        "stacked copies of 8 B (32 to 48 layers) had not recovered after about 0.4 tokens an added parameter (arXiv "
        + "2508.08011); Kanana 9.8 B was trained for about 110 (arXiv 2502.18934)"
}

extension Outcome {
    /// Says what healing takes.
    mutating func advise(_ budget: HealingBudget) {
        guard budget.added > 0 else { return }
        let added = "\(Units.count(budget.added)) new parameters"
        guard let tokens = budget.tokens else {
            say(
                "healing",
                "\(added); \(HealingBudget.published); \(Int(HealingBudget.least)) would be "
                    + "\(Units.count(Int(Double(budget.added) * HealingBudget.least))) tokens")
            return
        }
        let share = Double(tokens) / Double(budget.added)
        say(
            "healing",
            "\(added), \(Units.count(tokens)) tokens: \(Units.fixed(share, digits: 2)) a new parameter; "
                + HealingBudget.published)
        if share < HealingBudget.least {
            warnings.append(
                "\(Units.count(tokens)) tokens are \(Units.fixed(share, digits: 2)) a new parameter; under "
                    + "\(Int(HealingBudget.least)), blocks that begin as the identity (surgery expand) are the safer way to "
                    + "more depth")
        }
    }
}
