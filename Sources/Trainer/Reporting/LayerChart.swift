internal import Formats
public import Models

/// Scores of layers as a picture: a line for each layer, in it a bar and its number for each score.
///
/// The SVG needs nothing from elsewhere, follows the reader's choice of light or dark, and says in words what it shows.
public struct LayerChart {
    /// One score of all layers.
    private struct Panel {
        let title: String
        let values: [Double?]
        let label: (Double) -> String
    }

    private let name: String
    private let scores: LayerScores
    private let panels: [Panel]

    private static let rowHeight = 22, top = 86, panelWidth = 200, barWidth = 128, left = 56

    /// A picture of a model's scores.
    ///
    /// - Parameters:
    ///   - scores: what was measured.
    ///   - name: what the model is called in the title.
    public init(_ scores: LayerScores, of name: String) {
        (self.scores, self.name) = (scores, name)
        var panels = [
            Panel(title: "block influence", values: scores.blockInfluence) { Units.fixed($0, digits: 4) }
        ]
        if let angles = scores.angularDistance.first {
            panels.append(
                Panel(title: "angular distance", values: angles) { Units.fixed($0, digits: 4) })
        }
        for (title, losses) in [
            ("loss without it", scores.lossWithout), ("loss with it twice", scores.lossRepeated),
        ] {
            guard let losses, let loss = scores.loss else { continue }
            panels.append(
                Panel(title: title, values: losses.map { $0.map { $0 - loss } }) { change in
                    (change < 0 ? "−" : "+") + Units.fixed(change.magnitude, digits: 3)
                })
        }
        self.panels = panels
    }

    /// The picture.
    public var svg: String {
        let width = Self.left + panels.count * Self.panelWidth
        let height = Self.top + scores.blockInfluence.count * Self.rowHeight + 14
        return """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) \(height)" width="\(width)" height="\(height)" \
            role="img" aria-labelledby="title description">
            <title id="title">\(escaped("Layers of \(name)"))</title>
            <desc id="description">\(escaped(description))</desc>
            <style>
            text { font: 12px system-ui, sans-serif; fill: #1c1f23; font-variant-numeric: tabular-nums }
            .title { font-size: 15px; font-weight: 600 } .quiet { fill: #59616b }
            .ground { fill: #ffffff } .bar { fill: #2266aa } .zero { stroke: #c9ced6 }
            @media (prefers-color-scheme: dark) {
              text { fill: #e8eaed } .quiet { fill: #a4adb8 }
              .ground { fill: #15181c } .bar { fill: #6cb0f5 } .zero { stroke: #3d444d }
            }
            </style>
            <rect class="ground" width="\(width)" height="\(height)"/>
            <text class="title" x="16" y="28">\(escaped("Layers of \(name)"))</text>
            <text class="quiet" x="16" y="48">\(escaped(subtitle))</text>
            <text class="quiet" x="16" y="\(Self.top - 12)">layer</text>
            \(layerNumbers)
            \(panels.enumerated().map(group).joined(separator: "\n"))
            </svg>

            """
    }

    private var subtitle: String {
        guard let text = scores.text, let loss = scores.loss else { return "" }
        return
            "loss \(Units.fixed(loss, digits: 4)) on \(Units.grouped(text.tokens)) tokens; losses as what is added to it"
    }

    /// What it shows, in words.
    private var description: String {
        let sentences = panels.map { panel -> String in
            let known = panel.values.enumerated().compactMap { layer, value in value.map { (layer, $0) } }
            guard let least = known.min(by: { $0.1 < $1.1 }), let most = known.max(by: { $0.1 < $1.1 }) else {
                return "\(panel.title): no numbers."
            }
            return
                "\(panel.title): lowest \(panel.label(least.1)) in layer \(least.0), highest \(panel.label(most.1)) in layer \(most.0)."
        }
        return "A bar for each of \(scores.blockInfluence.count) layers. " + sentences.joined(separator: " ")
    }

    private var layerNumbers: String {
        scores.blockInfluence.indices.map { layer in
            #"<text x="\#(Self.left - 16)" y="\#(baseline(layer))" text-anchor="end">\#(layer)</text>"#
        }.joined(separator: "\n")
    }

    private func baseline(_ layer: Int) -> Int { Self.top + layer * Self.rowHeight + 15 }

    private func group(_ index: Int, _ panel: Panel) -> String {
        let x = Self.left + index * Self.panelWidth
        let known = panel.values.compactMap(\.self)
        let (low, high) = (min(0, known.min() ?? 0), max(0, known.max() ?? 0))
        let scale = high > low ? Double(Self.barWidth) / (high - low) : 0
        let zero = Double(x) - low * scale
        var lines = [
            "<g>", #"<text class="quiet" x="\#(x)" y="\#(Self.top - 12)">\#(escaped(panel.title))</text>"#,
            #"<line class="zero" x1="\#(number(zero))" x2="\#(number(zero))" y1="\#(Self.top)" "#
                + #"y2="\#(Self.top + panel.values.count * Self.rowHeight)"/>"#,
        ]
        for (layer, value) in panel.values.enumerated() {
            let label = value.map(panel.label) ?? "no number"
            let (from, to) = (min(0, value ?? 0) * scale, max(0, value ?? 0) * scale)
            lines.append(
                #"<rect class="bar" x="\#(number(zero + from))" y="\#(Self.top + layer * Self.rowHeight + 4)" "#
                    + #"width="\#(number(max(1, to - from)))" height="\#(Self.rowHeight - 8)" rx="2">"#
                    + "<title>\(escaped("layer \(layer): \(panel.title) \(label)"))</title></rect>")
            lines.append(
                #"<text x="\#(x + Self.panelWidth - 14)" y="\#(baseline(layer))" text-anchor="end">\#(label)</text>"#
            )
        }
        return (lines + ["</g>"]).joined(separator: "\n")
    }

    private func number(_ value: Double) -> String { Units.fixed(value, digits: 1) }

    private func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }
}
