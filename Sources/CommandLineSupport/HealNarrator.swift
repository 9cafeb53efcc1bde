internal import Formats
public import Trainer

/// Tells a person what a heal does: a line that follows it on a terminal, plain lines elsewhere.
public struct HealNarrator {
    private var line = ProgressLine()
    private var steps = 0
    private var tokensPerStep = 0
    private var firstStep = 0
    private var meter = ProgressMeter()
    private var losses = Sparkline()

    /// A narrator of a run that has not begun.
    public init() {}

    /// Tells what has happened.
    public mutating func tell(_ event: TrainingEvent) {
        switch event {
        case .started(let step, let steps, let parameters, let tokensPerStep):
            (self.steps, self.tokensPerStep, firstStep) = (steps, tokensPerStep, step)
            let from = step == 0 ? "" : ", going on after step \(step)"
            report(
                """
                training \(Units.count(parameters)) parameters for \(steps) steps of \
                \(Units.grouped(tokensPerStep)) tokens\(from)
                """)
            meter = ProgressMeter()
        case .stage(let number, let count, let title, let step, let tokens):
            line.clear()
            report("step \(step)  stage \(number) of \(count), \(title)")
            tokensPerStep = tokens
        case .evaluated(let name, let step, let result):
            line.clear()
            let figures = result.bitsPerByte.map { "\(Units.fixed($0, digits: 4)) bits per byte, " } ?? ""
            report("step \(step)  \(name): \(figures)loss \(Units.fixed(result.loss, digits: 4))")
            if step == firstStep { meter = ProgressMeter() }
        case .parent(_, let name, let result):
            let figures = result.bitsPerByte.map { "\(Units.fixed($0, digits: 4)) bits per byte" } ?? "–"
            report("parent  \(name): \(figures)")
        case .noParent(let reason): report("no parent beside the sets: \(reason); --parent names one")
        case .step(let step):
            losses.add(step.loss)
            let text = describe(step)
            line.update(text)
        case .healed(let step, let tokens):
            line.clear()
            report("step \(step)  healed, after \(Units.count(tokens)) tokens: the parent is reached")
        case .skipped(let step, let finding, let documents):
            line.clear()
            let texts = documents.isEmpty ? "" : " (documents: \(documents))"
            warn("step \(step) is left out: \(finding)\(texts)")
        case .rolledBack(let from, let to, let finding, let documents):
            line.clear()
            warn(
                "step \(from): \(finding); the run is back at step \(to), and leaves out what came since then (documents: \(documents))"
            )
        case .kept(let step, let folder):
            line.clear()
            report("step \(step)  kept in \(folder)")
        case .notKept(let step, let reason):
            line.clear()
            warn("step \(step) is not kept: \(reason)")
        case .notLogged(let step, let reason):
            line.clear()
            warn("a report lacks step \(step) and perhaps more: \(reason)")
        case .writing(let done, let total):
            line.update("writing \(Units.bytes(done)) of \(Units.bytes(total))")
        case .exposed(_, let summary):
            line.clear()
            let never = summary.bands.first?.tokens ?? 0
            report(
                "\(Units.grouped(never)) of \(Units.grouped(summary.tokens)) new tokens were never targets")
        case .drifted, .ended, .finished: break
        }
    }

    /// Clears the line.
    public mutating func finish() { line.clear() }

    private func describe(_ step: StepReport) -> String {
        let done = step.step - firstStep
        let left = meter.secondsLeft(done: done, of: steps - firstStep).map {
            ", \(Units.duration(seconds: $0)) left"
        }
        let curve = StandardError.isTerminal ? "  \(losses)" : ""
        let divergence = step.teacher?.divergence.map { "  KL \(Units.fixed($0, digits: 4))" } ?? ""
        let square =
            (step.rows?.meanSquare ?? step.teacher?.hidden).map {
                "  MSE \(Units.fixed($0, digits: 5))"
            } ?? ""
        return """
            step \(step.step)/\(steps)  loss \(Units.fixed(step.loss, digits: 4))\(divergence)\(square)  \
            \(Units.count(Int(meter.rate(done: done * tokensPerStep)))) tokens/s\(left ?? "")\(curve)
            """
    }
}
