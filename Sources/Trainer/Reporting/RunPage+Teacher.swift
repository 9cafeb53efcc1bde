internal import Formats

extension RunPage {
    /// What the loss is made of, of runs that had a teacher.
    var teacher: Section? {
        let taught = runs.filter { $0.history.steps.contains { $0.teacher?.divergence != nil } }
        if taught.isEmpty { return nil }
        let figures: [Markup] = taught.map { run in
            run.table(
                "Beside the teacher", RunSummary.some(of: run.history.steps),
                [
                    ("KL", { $0.teacher?.divergence.map { Units.fixed($0, digits: 4) } }),
                    ("cross entropy", { $0.teacher.map { Units.fixed($0.crossEntropy, digits: 4) } }),
                    ("taught", { $0.teacher.map { Units.percent($0.taughtShare) } }),
                ])
        }
        let chart = CurveChart(
            id: "teacher-chart", title: "KL by step",
            description: taught.map(\.teacherWords).joined(separator: " "),
            curves: taught.map { run in
                run.curve(run.mean(run.divergences), behind: run.divergences) { Units.fixed($0, digits: 3) }
            }, beginsWithZero: true)
        return Section(
            id: "teacher", title: "Teacher",
            content: """
                <p>How far the model's predictions are from the teacher's: KL(teacher ‖ model) of a target that was taught, in nats, \
                at the run's temperature.</p>
                <figure class="pair"><div>\(chart.markup)</div>
                \(figures)</figure>
                """)
    }
}

extension RunSummary {
    /// KL of each step in which something was taught.
    fileprivate var divergences: [CurveChart.Point] {
        history.steps.compactMap { step in
            step.teacher?.divergence.map { .init(step: step.step, value: $0) }
        }
    }

    /// Who has taught, and how much.
    fileprivate var teacherWords: String {
        let (taught, targets) = history.steps.compactMap(\.teacher).reduce((0, 0)) {
            ($0.0 + $1.taught, $0.1 + $1.targets)
        }
        let name = fact("teacher")?["model"]?.string.map { "\($0) has" } ?? "the teacher has"
        return """
            \(sentenceStart)\(name) taught \(Units.grouped(taught)) of \(Units.grouped(targets)) targets; KL is \
            \(Units.fixed(divergences.first?.value ?? 0, digits: 3)) at first and \
            \(Units.fixed(divergences.last?.value ?? 0, digits: 3)) at last.
            """
    }
}

extension TeacherFigures {
    /// The part of the targets that was taught.
    fileprivate var taughtShare: Double { Double(taught) / Double(max(1, targets)) }
}
