#!/bin/sh
# Fetch a version of uPlot with npm and write VENDOR.toml anew: loadtest/report/vendor/refresh.sh 1.6.32
# After another version: change the version in loadtest/report/html.py, look at a report, run the tests.
set -eu
version=${1:?give the version of uplot}
room=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "uplot@$version" >/dev/null
tar xzf "uplot-$version.tgz"
sum() { sha256sum "$1" | cut -d' ' -f1; }
rm -f "$room"/uPlot-*
cp package/dist/uPlot.iife.min.js "$room/uPlot-$version.min.js"
cp package/dist/uPlot.min.css "$room/uPlot-$version.min.css"
cp package/LICENSE "$room/uPlot-$version.LICENSE"
cat >"$room/VENDOR.toml" <<END
# Third-party files that the report carries inside itself. \`refresh.sh VERSION\` fetches another version and rewrites this.

[uplot]
version = "$version"
licence = "MIT"
source = "npm uplot"
package_sha256 = "$(sum "uplot-$version.tgz")"

[uplot.files]
"uPlot-$version.min.js" = "$(sum "$room/uPlot-$version.min.js")"
"uPlot-$version.min.css" = "$(sum "$room/uPlot-$version.min.css")"
"uPlot-$version.LICENSE" = "$(sum "$room/uPlot-$version.LICENSE")"
END
