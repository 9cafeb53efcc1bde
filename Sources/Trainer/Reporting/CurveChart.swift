internal import Formats
internal import Foundation

/// Curves over a run's steps.
///
/// The lines are an SVG that takes any width without becoming thinner; the words stand beside it as text of the page, so
/// that they keep their size on a phone.
struct CurveChart {
    /// A run's curve.
    struct Curve {
        /// What stands at its end.
        let label: Markup
        /// Which of the page's runs it is of.
        let run: Int
        /// The line.
        let points: [Point]
        /// What the line is the mean of; drawn faintly behind it.
        var behind: [Point] = []
        /// Steps with a mark on the axis: checkpoints.
        var marks: [Int] = []
        /// Steps at which the run went on.
        var breaks: [Int] = []
    }

    /// A figure after a step.
    struct Point {
        let step: Int
        let value: Double
    }

    /// A name that no other picture of the page has.
    let id: String
    let title: String
    /// What the picture shows, in words.
    let description: String
    let curves: [Curve]
    /// How the axis writes its numbers; nil for as many digits as they need.
    var format: ((Double) -> String)?
    /// Whether the axis begins with 0.
    var beginsWithZero = false

    private static let width = 1000.0, height = 1000.0

    var markup: Markup {
        let (low, high) = range
        let last = Double(max(2, curves.flatMap(\.points).map(\.step).max() ?? 2))
        func x(_ step: Int) -> Double { Self.width * Double(step) / last }
        func y(_ value: Double) -> Double { Self.height * (1 - (value - low) / (high - low)) }
        let ticks = Self.ticks(low, high)
        let steps = Self.ticks(0, last).map { $0.rounded() }
        return """
            <div class="plot">
            <svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-labelledby="\(id)-title \(id)-words">
            <title id="\(id)-title">\(title)</title>
            <desc id="\(id)-words">\(description)</desc>
            \(ticks.map { tick -> Markup in
                "<path class=\"grid\" d=\"M0 \(.place(y(tick)))H1000\"/>"
            })
            \(curves.flatMap { curve in curve.breaks.map { step -> Markup in
                "<path class=\"break run\(curve.run)\" d=\"M\(.place(x(step))) 0V1000\"/>"
            } })
            \(curves.map { curve -> Markup in
                "<path class=\"behind run\(curve.run)\" d=\"\(Self.line(curve.behind, x, y))\"/>"
            })
            \(curves.map { curve -> Markup in
                "<path class=\"curve run\(curve.run)\" d=\"\(Self.line(curve.points, x, y))\"/>"
            })
            \(curves.flatMap { curve in curve.marks.map { step -> Markup in
                "<path class=\"mark run\(curve.run)\" d=\"M\(.place(x(step))) 1000v-30\"/>"
            } })
            </svg>
            <div class="labels" aria-hidden="true">
            \(ticks.map { tick -> Markup in
                "<span class=\"y\" style=\"top:\(.place(y(tick) / 10))%\">\(label(tick, ticks))</span>"
            })
            \(steps.map { step -> Markup in
                "<span class=\"x\" style=\"left:\(.place(100 * step / last))%\">\(Units.grouped(Int(step)))</span>"
            })
            \(ends(y).map { end -> Markup in
                "<span class=\"end run\(end.run)\" style=\"top:\(.place(end.place / 10))%\">\(end.label)</span>"
            })
            </div>
            </div>
            """
    }

    private func label(_ tick: Double, _ ticks: [Double]) -> String {
        if let format { return format(tick) }
        let step = ticks.count > 1 ? ticks[1] - ticks[0] : 1
        return Units.fixed(tick, digits: (0...6).first { step >= 0.999 * pow(10, -Double($0)) } ?? 7)
    }

    /// What stands at the ends of the curves, no two in one place.
    private func ends(_ y: (Double) -> Double) -> [(label: Markup, run: Int, place: Double)] {
        var ends = curves.compactMap { curve in
            curve.points.last.map { (label: curve.label, run: curve.run, place: y($0.value)) }
        }.sorted { $0.place < $1.place }
        for index in ends.indices.dropFirst() {
            ends[index].place = max(ends[index].place, ends[index - 1].place + 100)
        }
        // Below would be the last number of the axis.
        var most = Self.height * 0.96
        for index in ends.indices.reversed() {
            ends[index].place = min(ends[index].place, most)
            most = ends[index].place - 100
        }
        return ends
    }

    /// The values between which the axis reaches: all of the lines, and of what lies behind them all but the rarest.
    private var range: (Double, Double) {
        let lines = curves.flatMap { $0.points.map(\.value) }
        let behind = curves.flatMap { $0.behind.map(\.value) }.sorted()
        var values = lines
        if !behind.isEmpty {
            values += [behind[behind.count / 200], behind[behind.count - 1 - behind.count / 200]]
        }
        let low = beginsWithZero ? 0 : values.min() ?? 0
        let high = values.max() ?? 1
        guard high > low else {
            return (low - max(0.5, low.magnitude / 2), low + max(0.5, low.magnitude / 2))
        }
        let room = (high - low) * 0.05
        return (beginsWithZero ? 0 : low - room, high + room)
    }

    /// About four round numbers of a range.
    static func ticks(_ low: Double, _ high: Double) -> [Double] {
        let rough = (high - low) / 4
        guard rough > 0, rough.isFinite else { return [low] }
        var power = 1.0
        while power * 10 <= rough { power *= 10 }
        while power > rough { power /= 10 }
        let step = power * ([1, 2, 5].last { $0 * power <= rough * 1.01 } ?? 1)
        return (Int((low / step).rounded(.up))...Int((high / step).rounded(.down))).map { Double($0) * step }
    }

    /// A line through points; of many that lie in one column of the picture the lowest and the highest.
    private static func line(
        _ points: [Point], _ x: (Int) -> Double, _ y: (Double) -> Double
    ) -> Markup {
        var kept: [Point] = []
        let columns = 300
        if points.count <= 2 * columns {
            kept = points
        } else {
            for column in 0..<columns {
                let part = points[column * points.count / columns..<(column + 1) * points.count / columns]
                guard let low = part.min(by: { $0.value < $1.value }),
                    let high = part.max(by: { $0.value < $1.value })
                else { continue }
                kept += low.step == high.step ? [low] : low.step < high.step ? [low, high] : [high, low]
            }
        }
        let places = kept.enumerated().map { index, point -> Markup in
            "\(index == 0 ? "M" : "L" as Markup)\(.place(x(point.step))) \(.place(max(-200, min(1200, y(point.value)))))"
        }
        return "\(places)"
    }
}
