# SPDX-License-Identifier: Apache-2.0
"""Sigma rules as detections: parsed by pySigma (extra `sigma`), evaluated here, live and in backtests alike.

fields     what Sigma's names are called here
conditions a parsed condition as a function of an event
correlate  event_count, value_count, temporal: conditions over several events
rules      a folder of files as detections, and why each of the others is not
"""
