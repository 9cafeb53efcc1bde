internal import Formats
internal import Foundation

/// Curves over a run's steps, over a model's layers, or of one figure over another.
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
        /// Where something happened.
        var marks: [Mark] = []
        /// Whether each point has a dot: few points, between which nothing is known.
        var hasDots = false
    }

    /// A figure at a place.
    struct Point {
        let x: Double
        let value: Double

        init(x: Double, value: Double) { (self.x, self.value) = (x, value) }
        init(step: Int, value: Double) { self.init(x: Double(step), value: value) }
    }

    /// A place at which something happened.
    struct Mark {
        /// What happened there.
        enum Kind: String, CaseIterable {
            case kept, resumed, stage, skipped
            case rolledBack = "rolled-back"

            /// What it looks like.
            var words: String {
                switch self {
                case .kept: "Ticks on the axis are checkpoints."
                case .resumed: "A broken line is where the run went on."
                case .stage: "An upright line is where a stage begins, by its number."
                case .skipped: "A tick at the top is a step that was left out."
                case .rolledBack: "A broken tick at the top is where the run went back."
                }
            }
        }

        let x: Double
        let kind: Kind
        /// What stands beside a line.
        var word = ""
    }

    /// A figure that curves are to be seen against: a line from one side to the other.
    struct Level {
        let label: Markup
        let value: Double
    }

    /// What lies along the axis of x.
    enum Axis {
        /// Steps or layers, from 0 on.
        case count
        /// Figures that are the better the lower they are, from the highest to the lowest.
        case falling
    }

    /// A name that no other picture of the page has.
    let id: String
    let title: String
    /// What the picture shows, in words.
    let description: String
    let curves: [Curve]
    var levels: [Level] = []
    var axis = Axis.count
    /// How the axis of y writes its numbers; nil for as many digits as they need, and then the unit.
    var format: ((Double) -> String)?
    var unit = ""
    /// Whether the axis of y begins with 0.
    var beginsWithZero = false

    private static let width = 1000.0, height = 1000.0

    var markup: Markup {
        let (low, high) = range
        let (first, last) = places
        func x(_ place: Double) -> Double { Self.width * (place - first) / (last - first) }
        func y(_ value: Double) -> Double { Self.height * (1 - (value - low) / (high - low)) }
        let ticks = Self.ticks(low, high)
        return """
            <div class="plot\(curves.contains(where: \.hasDots) ? " dotted" : "")">
            <svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-labelledby="\(id)-title \(id)-words">
            <title id="\(id)-title">\(title)</title>
            <desc id="\(id)-words">\(description)</desc>
            \(ticks.map { tick -> Markup in
                "<path class=\"grid\" d=\"M0 \(.place(y(tick)))H1000\"/>"
            })
            \(curves.flatMap { curve in curve.marks.map { Self.drawn($0, x($0.x), run: curve.run) } })
            \(levels.map { level -> Markup in
                "<path class=\"level\" d=\"M0 \(.place(y(level.value)))H1000\"/>"
            })
            \(curves.map { curve -> Markup in
                "<path class=\"behind run\(curve.run)\" d=\"\(Self.line(curve.behind, x, y))\"/>"
            })
            \(curves.map { curve -> Markup in
                "<path class=\"curve run\(curve.run)\" d=\"\(Self.line(curve.points, x, y))\"/>"
            })
            \(curves.filter(\.hasDots).flatMap { curve in curve.points.map { point -> Markup in
                "<path class=\"dot run\(curve.run)\" d=\"M\(.place(x(point.x))) \(.place(y(point.value)))h.01\"/>"
            } })
            </svg>
            <div class="labels" aria-hidden="true">
            \(ticks.map { tick -> Markup in
                "<span class=\"y\" style=\"top:\(.place(y(tick) / 10))%\">\(label(tick, ticks))</span>"
            })
            \(placeTicks(first, last).map { place, words -> Markup in
                "<span class=\"x\" style=\"left:\(.place(x(place) / 10))%\">\(words)</span>"
            })
            \(curves.flatMap(\.marks).filter { !$0.word.isEmpty }.map { mark -> Markup in
                "<span class=\"word\" style=\"left:\(.place(x(mark.x) / 10))%\">\(mark.word)</span>"
            })
            \(ends(y).map { end -> Markup in
                "<span class=\"end \(end.style)\" style=\"top:\(.place(end.place / 10))%\">\(end.label)</span>"
            })
            </div>
            </div>
            """
    }

    private static func drawn(_ mark: Mark, _ x: Double, run: Int) -> Markup {
        let shape: Markup =
            switch mark.kind {
            case .kept: "1000v-30"
            case .skipped, .rolledBack: "0v40"
            case .resumed, .stage: "0V1000"
            }
        return "<path class=\"mark \(mark.kind.rawValue) run\(run)\" d=\"M\(.place(x)) \(shape)\"/>"
    }

    private func label(_ tick: Double, _ ticks: [Double]) -> String {
        format.map { $0(tick) } ?? Self.label(tick, ticks) + unit
    }

    /// A number of an axis in as many digits as tell it from the next.
    private static func label(_ tick: Double, _ ticks: [Double]) -> String {
        let step = ticks.count > 1 ? ticks[1] - ticks[0] : 1
        let digits = (0...6).first { step >= 0.999 * pow(10, -Double($0)) } ?? 7
        return (tick < 0 ? "−" : "") + Units.fixed(tick.magnitude, digits: digits)
    }

    /// The numbers of the axis of x.
    private func placeTicks(_ first: Double, _ last: Double) -> [(place: Double, words: String)] {
        let ticks = Self.ticks(min(first, last), max(first, last))
        switch axis {
        case .count:
            let whole = ticks.filter { $0 == $0.rounded() }
            return whole.map { ($0, Units.grouped(Int($0))) }
        case .falling: return ticks.map { ($0, Self.label($0, ticks)) }
        }
    }

    /// What stands at the ends of curves and levels, no two in one place.
    private func ends(_ y: (Double) -> Double) -> [(label: Markup, style: Markup, place: Double)] {
        var ends: [(label: Markup, style: Markup, place: Double)] = curves.compactMap { curve in
            curve.points.last.map { (curve.label, "run\(curve.run)", y($0.value)) }
        }
        ends += levels.map { ($0.label, "of-level", y($0.value)) }
        ends.sort { $0.place < $1.place }
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

    /// The places between which the axis of x reaches.
    private var places: (Double, Double) {
        let places = curves.flatMap { $0.points.map(\.x) + $0.marks.map(\.x) }
        switch axis {
        case .count: return (0, max(2, places.max() ?? 2))
        case .falling:
            let (low, high) = Self.widened(places.min() ?? 0, places.max() ?? 1)
            return (high, low)
        }
    }

    /// The values between which the axis of y reaches: all of the lines, and of what lies behind them all but the rarest.
    private var range: (Double, Double) {
        let behind = curves.flatMap { $0.behind.map(\.value) }.sorted()
        var values = curves.flatMap { $0.points.map(\.value) } + levels.map(\.value)
        if !behind.isEmpty {
            values += [behind[behind.count / 200], behind[behind.count - 1 - behind.count / 200]]
        }
        guard beginsWithZero else { return Self.widened(values.min() ?? 0, values.max() ?? 1) }
        let high = values.max() ?? 1
        return (0, high > 0 ? high * 1.05 : 1)
    }

    /// A range with some room on either side.
    private static func widened(_ low: Double, _ high: Double) -> (Double, Double) {
        let room = high > low ? (high - low) * 0.05 : max(0.5, low.magnitude / 2)
        return (low - room, high + room)
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
        _ points: [Point], _ x: (Double) -> Double, _ y: (Double) -> Double
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
                kept += low.x == high.x ? [low] : low.x < high.x ? [low, high] : [high, low]
            }
        }
        let places = kept.enumerated().map { index, point -> Markup in
            "\(index == 0 ? "M" : "L" as Markup)\(.place(x(point.x))) \(.place(max(-200, min(1200, y(point.value)))))"
        }
        return "\(places)"
    }
}
